// Collectives over NCCL, which moves tensors that lie on GPUs. Compiled only where its headers are.
#include "handles.h"
#include "outcome.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

using c10d::ProcessGroup;
using std::chrono::milliseconds;

extern "C" {

// Lets a group that was joined over Gloo move tensors of GPUs too.
int32_t prorl_group_add_nccl(
    GroupHandle* handle, StoreHandle* store, int32_t rank, int32_t size, Message message) {
  return guarded(message, [&] {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = handle->timeout;
    auto meeting = c10::make_intrusive<c10d::PrefixStore>("nccl", store->store);
    c10::intrusive_ptr<c10d::Backend> nccl =
        c10::make_intrusive<c10d::ProcessGroupNCCL>(meeting, rank, size, options);
    handle->group->setBackend(c10::DeviceType::CUDA, ProcessGroup::BackendType::NCCL, nccl);
  });
}
}
