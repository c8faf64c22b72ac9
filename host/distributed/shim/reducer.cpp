// The engine under DistributedDataParallel: gradients are averaged bucket by bucket while backward still runs.
#include "handles.h"
#include "outcome.h"

#include <torch/csrc/distributed/c10d/reducer.hpp>

struct ReducerHandle {
  std::unique_ptr<c10d::Reducer> reducer;
};

namespace {
// The reducer hints once that a search for unreached parameters found none; what a policy's loss reaches is the
// plugin's affair.
struct Silent : c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

// DistributedDataParallel's sizes: a first small bucket, so that communication starts early.
constexpr size_t kFirstBucket = 1 << 20;
constexpr size_t kBucket = 25 << 20;
} // namespace

extern "C" {

// Watches the gradients of `count` parameters. Those that a loss does not reach are found anew at each backward.
int32_t prorl_reducer_make(
    GroupHandle* group, at::Tensor** parameters, size_t count, ReducerHandle** made, Message message) {
  return guarded(message, [&] {
    std::vector<at::Tensor> tensors;
    for (size_t index = 0; index < count; ++index) {
      tensors.push_back(*parameters[index]);
    }
    const std::vector<bool> sparse(count, false);
    auto [buckets, limits] = c10d::compute_bucket_assignment_by_size(tensors, {kFirstBucket, kBucket}, sparse);
    // Gradients come last layer first.
    std::reverse(buckets.begin(), buckets.end());
    auto reducer = std::make_unique<c10d::Reducer>(
        tensors, buckets, group->group, sparse, kBucket, /*find_unused_parameters=*/true,
        /*gradient_as_bucket_view=*/false, std::unordered_map<size_t, std::string>{}, kFirstBucket,
        /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false, std::vector<int64_t>{});
    *made = new ReducerHandle{std::move(reducer)};
  });
}

// Runs backward from the scalar `loss`; with `reduce` the gradients are the processes' mean afterwards, else they only
// add up in this process.
int32_t prorl_reducer_backward(ReducerHandle* handle, at::Tensor* loss, bool reduce, Message message) {
  return guarded(message, [&] {
    if (reduce) {
      Silent silent;
      c10::WarningUtils::WarningHandlerGuard guard(&silent);
      handle->reducer->prepare_for_backward({*loss});
    }
    loss->backward();
  });
}

int32_t prorl_reducer_free(ReducerHandle* handle, Message message) {
  return guarded(message, [&] { delete handle; });
}
}
