// A node of libtorch's graph whose gradient is computed on the Rust side.
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

// What the Rust side keeps for the gradient, and how to ask it. `gradient` takes over the tensor that it is given, and
// the graph takes over what it puts into `of_inputs`; it returns 0 unless it failed. `release` ends the context.
struct Context {
  void* kept;
  int32_t (*gradient)(void* kept, at::Tensor* of_result, at::Tensor** of_inputs);
  void (*release)(void* kept);
};

struct OwnGradient final : torch::autograd::Node {
  explicit OwnGradient(Context context) : context_(context) {}
  ~OwnGradient() override { release_variables(); }

  std::string name() const override { return "OwnGradient"; }

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    if (context_.kept == nullptr) {
      throw std::runtime_error("backward ran a second time through a graph that the first one freed; keep the graph");
    }
    torch::autograd::variable_list of_inputs(num_outputs());
    if (!gradients[0].defined()) {
      return of_inputs;
    }
    std::vector<at::Tensor*> found(num_outputs(), nullptr);
    const int32_t outcome = context_.gradient(context_.kept, new at::Tensor(gradients[0]), found.data());
    for (size_t index = 0; index < found.size(); ++index) {
      if (found[index] != nullptr) {
        of_inputs[index] = std::move(*found[index]);
        delete found[index];
      }
    }
    if (outcome != 0) {
      throw std::runtime_error("a gradient computed outside libtorch failed; the panic's message is above");
    }
    return of_inputs;
  }

  void release_variables() override {
    if (context_.kept != nullptr) {
      context_.release(std::exchange(context_.kept, nullptr));
    }
  }

 private:
  Context context_;
};

}  // namespace

extern "C" {

// Whether what is computed now is followed by gradients.
int32_t prorl_follows() { return at::GradMode::is_enabled() ? 1 : 0; }

// Makes `result` a function of `inputs`. Without a gradient to follow, the context ends at once.
int32_t prorl_attach(at::Tensor* result, at::Tensor* const* inputs, size_t count, Context context) {
  try {
    const auto node = std::shared_ptr<OwnGradient>(new OwnGradient(context), torch::autograd::deleteNode);
    torch::autograd::variable_list all;
    bool followed = false;
    for (size_t index = 0; index < count; ++index) {
      all.push_back(*inputs[index]);
      followed = followed || inputs[index]->requires_grad();
    }
    if (followed && at::GradMode::is_enabled()) {
      node->set_next_edges(torch::autograd::collect_next_edges(all));
      torch::autograd::set_history(*result, node);
    }
    return 0;
  } catch (...) {
    return 1;
  }
}
}
