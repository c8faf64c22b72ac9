// Which library multiplies float32 matrices on the processor.
#include "outcome.h"

#include <ATen/Context.h>

extern "C" {

// Whether the processor has 512-bit vectors that libtorch's own choice, MKL, leaves unused: it takes them on Intel's
// processors alone.
bool prorl_products_can_be_wider() {
#if defined(__x86_64__) && defined(__GNUC__)
  return __builtin_cpu_supports("avx512f") && !__builtin_cpu_is("intel");
#else
  return false;
#endif
}

// Lets oneDNN multiply float32 matrices, or MKL again. libtorch asks oneDNN only where rounding to bf16 is allowed;
// whether oneDNN then rounds depends on the processor.
int32_t prorl_products_by_onednn(bool by_onednn, Message message) {
  return guarded(message, [&] {
    at::globalContext().setFloat32Precision(
        at::Float32Backend::MKLDNN,
        at::Float32Op::MATMUL,
        by_onednn ? at::Float32Precision::BF16 : at::Float32Precision::NONE);
  });
}
}
