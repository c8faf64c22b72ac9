// The processes of a run and what they do together.
#include "handles.h"
#include "outcome.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

using c10d::ProcessGroup;
using std::chrono::milliseconds;

namespace {

// Runs one collective and waits for its end.
template <typename Start>
int32_t collective(GroupHandle* handle, Message message, Start&& start) {
  return guarded(message, [&] {
    std::lock_guard<std::mutex> lock(handle->one_call_at_a_time);
    at::NoGradGuard no_grad;
    start(*handle->group)->wait(handle->timeout);
  });
}

} // namespace

extern "C" {

// Joins the group of `size` processes over Gloo, which moves tensors that lie in the machine's memory.
int32_t prorl_group_gloo(
    StoreHandle* store, int32_t rank, int32_t size, int64_t timeout_ms, GroupHandle** joined, Message message) {
  return guarded(message, [&] {
    const milliseconds timeout(timeout_ms);
    auto options = c10d::ProcessGroupGloo::Options::create_default(timeout);
    auto meeting = c10::make_intrusive<c10d::PrefixStore>("gloo", store->store);
    c10::intrusive_ptr<c10d::Backend> gloo =
        c10::make_intrusive<c10d::ProcessGroupGloo>(meeting, rank, size, options);
    auto group = c10::make_intrusive<ProcessGroup>(store->store, rank, size);
    group->setBackend(c10::DeviceType::CPU, ProcessGroup::BackendType::GLOO, gloo);
    group->setDefaultBackend(ProcessGroup::BackendType::GLOO);
    *joined = new GroupHandle{group, timeout, {}};
  });
}

// Sums `tensor` over all processes, in place.
int32_t prorl_all_reduce(GroupHandle* handle, at::Tensor* tensor, Message message) {
  return collective(handle, message, [&](ProcessGroup& group) {
    std::vector<at::Tensor> tensors{*tensor};
    return group.allreduce(tensors);
  });
}

// Gives every process the `tensor` of process `root`, in place.
int32_t prorl_broadcast(GroupHandle* handle, at::Tensor* tensor, int32_t root, Message message) {
  return collective(handle, message, [&](ProcessGroup& group) {
    std::vector<at::Tensor> tensors{*tensor};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    return group.broadcast(tensors, options);
  });
}

// Puts the `own` tensors of all processes, equal in shape, into `all`: one more dimension in front.
int32_t prorl_all_gather(GroupHandle* handle, at::Tensor* own, at::Tensor* all, Message message) {
  return collective(handle, message, [&](ProcessGroup& group) {
    std::vector<at::Tensor> inputs{*own};
    std::vector<std::vector<at::Tensor>> outputs{all->unbind(0)};
    return group.allgather(outputs, inputs);
  });
}

int32_t prorl_barrier(GroupHandle* handle, Message message) {
  return collective(handle, message, [&](ProcessGroup& group) { return group.barrier(); });
}

int32_t prorl_group_free(GroupHandle* handle, Message message) {
  return guarded(message, [&] { delete handle; });
}
}
