// Jobs on libtorch's own threads: others would compete with those, which wait for their next work in a loop.
#include <ATen/TensorIterator.h>
#include <ATen/ops/arange.h>

#include <cstdint>

extern "C" {

// Calls `job` with each number below `count`, on as many of libtorch's threads as there are jobs, if it has so many.
int32_t prorl_run(int64_t count, void* context, void (*job)(void* context, int64_t number)) {
  try {
    // An iterator over the numbers: what it visits, libtorch shares out among its threads.
    const auto numbers = at::arange(count, at::kLong);
    auto iterator = at::TensorIteratorConfig().add_const_input(numbers).build();
    iterator.for_each(
        [&](char** data, const int64_t* strides, int64_t size) {
          for (int64_t index = 0; index < size; ++index) {
            job(context, *reinterpret_cast<const int64_t*>(data[0] + index * strides[0]));
          }
        },
        /*grain_size=*/1);
    return 0;
  } catch (...) {
    return 1;
  }
}
}
