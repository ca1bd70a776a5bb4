// Registration: turns a C++ function into a kernel of the operator of the same name in `raydet::`.
//
// Arguments may be Tensor, int64_t, double, bool and std::optional<Tensor>; results one Tensor, a tuple of them, or none.
// The schema itself is defined in Python (raydet_ops), where the fake kernel and the gradient stand.
#pragma once

#include <optional>
#include <tuple>
#include <utility>

#include "tensor.h"

namespace raydet {

template <typename T>
T unbox(StableIValue value) {
  if constexpr (std::is_same_v<T, Tensor>) {
    return Tensor(reinterpret_cast<AtenTensorHandle>(value));
  } else if constexpr (std::is_same_v<T, std::optional<Tensor>>) {
    if (value == 0) return std::nullopt;
    auto* held = reinterpret_cast<StableIValue*>(value);
    Tensor tensor = unbox<Tensor>(*held);
    delete held;  // as the ABI prescribes: whoever receives an optional frees its box
    return tensor;
  } else {
    static_assert(sizeof(T) <= sizeof(value) && std::is_trivially_copyable_v<T>);
    T number;
    std::memcpy(&number, &value, sizeof(number));
    return number;
  }
}

inline void box(StableIValue* stack, const Tensor& result) { stack[0] = result.own(); }

template <typename... Results>
void box(StableIValue* stack, const std::tuple<Results...>& results) {
  std::apply([&](const auto&... result) { (..., (*stack++ = result.own())); }, results);
}

template <auto function>
struct Boxed;

template <typename Result, typename... Arguments, Result (*function)(Arguments...)>
struct Boxed<function> {
  static void run(StableIValue* stack, uint64_t, uint64_t) { run(stack, std::index_sequence_for<Arguments...>{}); }

  template <size_t... I>
  static void run(StableIValue* stack, std::index_sequence<I...>) {
    // A braced tuple takes the arguments off the stack in order, each exactly once, before anything can throw.
    std::tuple<std::decay_t<Arguments>...> arguments{unbox<std::decay_t<Arguments>>(stack[I])...};
    if constexpr (std::is_void_v<Result>) {
      std::apply(function, arguments);
    } else {
      box(stack, std::apply(function, arguments));
    }
  }
};

struct Registration {
  Registration(const char* name, void (*kernel)(StableIValue*, uint64_t, uint64_t), const char* key) {
    TorchLibraryHandle library = nullptr;
    call(aoti_torch_library_init_impl("raydet", key, name, 0, &library));
    call(torch_library_impl(library, name, kernel, kTorchVersion));
    // The handle is kept for ever: releasing it would withdraw the kernel.
  }
};

}  // namespace raydet

#ifdef __CUDACC__
#define RAYDET_KEY "CUDA"
#else
#define RAYDET_KEY "CPU"
#endif

#define RAYDET_KERNEL(function) \
  static const raydet::Registration registration_##function(#function, raydet::Boxed<&function>::run, RAYDET_KEY)
