// A tensor seen through the stable ABI: shared handle, sizes, typed data, and new tensors on the same device.
#pragma once

#include <cstring>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "torch_abi.h"

namespace raydet {

// Errors leave the library as C++ exceptions, which libtorch turns into Python's RuntimeError.
inline void check(bool holds, const char* message) {
  if (!holds) throw std::runtime_error(message);
}

inline void call(AOTITorchError error) { check(error == 0, "a call into libtorch failed"); }

template <typename T>
int32_t dtype_of() {
  if constexpr (std::is_same_v<T, float>) return aoti_torch_dtype_float32();
  if constexpr (std::is_same_v<T, double>) return aoti_torch_dtype_float64();
  if constexpr (std::is_same_v<T, int64_t>) return aoti_torch_dtype_int64();
  if constexpr (std::is_same_v<T, uint8_t>) return aoti_torch_dtype_uint8();
  if constexpr (std::is_same_v<T, bool>) return aoti_torch_dtype_bool();
}

class Tensor {
 public:
  explicit Tensor(AtenTensorHandle owned)
      : handle_(owned, [](AtenTensorHandle handle) { aoti_torch_delete_tensor_object(handle); }) {}

  AtenTensorHandle get() const { return handle_.get(); }
  int64_t dim() const { return ask<int64_t>(aoti_torch_get_dim); }
  int64_t numel() const { return ask<int64_t>(aoti_torch_get_numel); }
  int32_t dtype() const { return ask<int32_t>(aoti_torch_get_dtype); }
  int32_t device_type() const { return ask<int32_t>(aoti_torch_get_device_type); }
  int32_t device_index() const { return ask<int32_t>(aoti_torch_get_device_index); }
  const int64_t* sizes() const { return ask<int64_t*>(aoti_torch_get_sizes); }
  int64_t size(int64_t axis) const { return sizes()[axis < 0 ? axis + dim() : axis]; }

  // The elements, of a contiguous tensor of exactly this type.
  template <typename T>
  T* data() const {
    check(dtype() == dtype_of<T>(), "a tensor of another dtype was expected");
    return static_cast<T*>(ask<void*>(aoti_torch_get_data_ptr));
  }

  Tensor contiguous() const {
    if (ask<bool>(aoti_torch_is_contiguous)) return *this;
    StableIValue stack[2] = {own(), static_cast<StableIValue>(aoti_torch_memory_format_contiguous_format())};
    call(torch_call_dispatcher("aten::contiguous", "", stack, kTorchVersion));
    return Tensor(reinterpret_cast<AtenTensorHandle>(stack[0]));
  }

  // An uninitialised tensor on the device of this one.
  template <typename T>
  Tensor empty(const std::vector<int64_t>& sizes) const {
    return empty(sizes, dtype_of<T>());
  }

  Tensor empty(const std::vector<int64_t>& sizes, int32_t dtype) const {
    std::vector<int64_t> strides(sizes.size(), 1);
    for (size_t axis = sizes.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * (sizes[axis] ? sizes[axis] : 1);
    AtenTensorHandle handle = nullptr;
    call(aoti_torch_empty_strided(
        static_cast<int64_t>(sizes.size()), sizes.data(), strides.data(), dtype, device_type(), device_index(),
        &handle));
    return Tensor(handle);
  }

  Tensor empty_like() const { return empty(std::vector<int64_t>(sizes(), sizes() + dim()), dtype()); }

  template <typename T>
  Tensor zeros(const std::vector<int64_t>& sizes) const {
    return empty<T>(sizes).zero();
  }

  Tensor zeros_like() const { return empty_like().zero(); }

  Tensor zero() const {
    StableIValue stack[1] = {own()};
    call(torch_call_dispatcher("aten::zero_", "", stack, kTorchVersion));
    return Tensor(reinterpret_cast<AtenTensorHandle>(stack[0]));
  }

  // A further handle, for whoever takes over one: the dispatcher, or the caller of an operator.
  StableIValue own() const {
    AtenTensorHandle copy = nullptr;
    call(aoti_torch_new_tensor_handle(get(), &copy));
    return reinterpret_cast<StableIValue>(copy);
  }

 private:
  template <typename T>
  T ask(AOTITorchError (*question)(AtenTensorHandle, T*)) const {
    T answer{};
    call(question(get(), &answer));
    return answer;
  }

  std::shared_ptr<AtenTensorOpaque> handle_;
};

// Calls `function(T{})` with the floating type of the tensor. Half types are widened before they get here.
template <typename Function>
auto dispatch_floating(const Tensor& tensor, Function function) {
  if (tensor.dtype() == aoti_torch_dtype_float32()) return function(float{});
  check(tensor.dtype() == aoti_torch_dtype_float64(), "expected a float32 or float64 tensor");
  return function(double{});
}

}  // namespace raydet
