// libtorch's fused AdamW: all parameters in one pass over memory, on a GPU in one launch.
#include "outcome.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <ATen/ops/_fused_adamw.h>

struct AdamWStep {
  double rate, beta1, beta2, weight_decay, epsilon;
};

extern "C" {

// Moves `count` parameters, whose moments are changed too; `number` is the step's number from 1, a float scalar.
int32_t prorl_adamw(
    at::Tensor** parameters, at::Tensor** gradients, at::Tensor** first, at::Tensor** second, size_t count,
    at::Tensor* number, AdamWStep step, Message message) {
  return guarded(message, [&] {
    c10::AutoGradMode no_grad(false);
    auto list = [&](at::Tensor** tensors) {
      std::vector<at::Tensor> all;
      for (size_t index = 0; index < count; ++index) {
        all.push_back(*tensors[index]);
      }
      return all;
    };
    const std::vector<at::Tensor> numbers(count, *number);
    at::_fused_adamw_(
        list(parameters), list(gradients), list(first), list(second), {}, numbers, step.rate, step.beta1, step.beta2,
        step.weight_decay, step.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  });
}
}
