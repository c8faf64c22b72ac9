"""RecBole reads an atomic data set and prepares it for a sequential model: `python recbole_loading.py PARENT NAME`.

Prints `load  seconds s` and `prepare  seconds s`. What needs more than nine tenths of the machine's memory fails, and
leaves the machine alone.
"""
import os
import resource
import sys
import time

from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_logger

room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10
resource.setrlimit(resource.RLIMIT_AS, (room, room))

config = Config(model="SASRec", dataset=sys.argv[2], config_dict={
    "data_path": sys.argv[1],
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "train_neg_sample_args": None,
    "MAX_ITEM_LIST_LENGTH": 50,
    "state": "ERROR",
    "use_gpu": False,
})
init_logger(config)

started = time.perf_counter()
dataset = create_dataset(config)
print(f"load  {time.perf_counter() - started:.3f} s  {dataset.inter_num} interactions", flush=True)

started = time.perf_counter()
train, _, _ = data_preparation(config, dataset)
print(f"prepare  {time.perf_counter() - started:.3f} s  {len(train.dataset)} training sequences", flush=True)
