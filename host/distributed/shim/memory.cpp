// Where libtorch's tensors get their memory, and what the C library does with memory that is freed.
#include "outcome.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <cstdint>
#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kLarge = size_t{1} << 20;
constexpr size_t kStep = size_t{1} << 16;

// Frees what `KeptMemory` gave: the C library's pointer lies just before the tensor's bytes.
void free_kept(void* data) {
  if (data != nullptr) {
    free(static_cast<void**>(data)[-1]);
  }
}

// libtorch's own allocator asks the C library for aligned blocks. Such a block, once freed, is too small for the next
// request of the same size, because that asks for room to align in, and so memory falls to pieces. Here the alignment is
// part of every block, and large blocks come in few sizes: what one tensor leaves fits the next.
struct KeptMemory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    const c10::Device cpu(c10::DeviceType::CPU);
    if (bytes == 0) {
      return {nullptr, nullptr, &free_kept, cpu};
    }
    size_t room = bytes + kAlignment;
    if (room >= kLarge) {
      room = (room + kStep - 1) / kStep * kStep;
    }
    void* block = room < bytes ? nullptr : malloc(room);
    TORCH_CHECK_WITH(OutOfMemoryError, block != nullptr, "there is no memory for a tensor of ", bytes, " bytes");
    // The C library aligns to 16 bytes at least, so there is room for the pointer.
    const auto aligned = (reinterpret_cast<uintptr_t>(block) + kAlignment) & ~(kAlignment - 1);
    auto* data = reinterpret_cast<void**>(aligned);
    data[-1] = block;
    return {data, data, &free_kept, cpu};
  }

  c10::DeleterFnPtr raw_deleter() const override {
    return &free_kept;
  }

  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

}  // namespace

extern "C" {

int32_t prorl_memory_keep(Message message) {
  static KeptMemory memory;
  const int32_t outcome = guarded(message, [] { c10::SetCPUAllocator(&memory, /*priority=*/1); });
  if (outcome != 0) {
    return outcome;
  }
#ifdef __GLIBC__
  // Without these, tensors above a few MiB are mapped and unmapped each time, and the system clears every page anew.
  // -1 stands for never; the largest int would be 2 GiB, and large updates free more.
  if (mallopt(M_MMAP_MAX, 0) == 0 || mallopt(M_TRIM_THRESHOLD, -1) == 0) {
    return failed(message, "the C library refused to keep freed memory");
  }
#endif
  return 0;
}

// Gives freed memory back to the system.
void prorl_memory_release() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
}
