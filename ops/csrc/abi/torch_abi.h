// The C functions of PyTorch's stable ABI that raydet calls, as libtorch exports them since version 2.10.
//
// They are declared here, not included, so that building needs a C++ compiler and nothing else: neither an installed
// torch nor its headers. libtorch is loaded before this library, and its symbols are found then.
#pragma once

#include <cstdint>

struct AtenTensorOpaque;
struct TorchLibraryOpaque;
struct DeviceGuardOpaque;
using AtenTensorHandle = AtenTensorOpaque*;
using TorchLibraryHandle = TorchLibraryOpaque*;
using DeviceGuardHandle = DeviceGuardOpaque*;
using AOTITorchError = int32_t;  // 0 is success
using StableIValue = uint64_t;   // an argument or result: the bits of a number, a tensor handle, or a pointer

constexpr uint64_t kTorchVersion = (uint64_t{2} << 56) | (uint64_t{10} << 48);

extern "C" {
AOTITorchError aoti_torch_new_tensor_handle(AtenTensorHandle original, AtenTensorHandle* copy);
AOTITorchError aoti_torch_delete_tensor_object(AtenTensorHandle tensor);
AOTITorchError aoti_torch_get_data_ptr(AtenTensorHandle tensor, void** data);
AOTITorchError aoti_torch_get_dim(AtenTensorHandle tensor, int64_t* dim);
AOTITorchError aoti_torch_get_numel(AtenTensorHandle tensor, int64_t* numel);
AOTITorchError aoti_torch_get_sizes(AtenTensorHandle tensor, int64_t** sizes);
AOTITorchError aoti_torch_get_dtype(AtenTensorHandle tensor, int32_t* dtype);
AOTITorchError aoti_torch_get_device_type(AtenTensorHandle tensor, int32_t* device_type);
AOTITorchError aoti_torch_get_device_index(AtenTensorHandle tensor, int32_t* device_index);
AOTITorchError aoti_torch_is_contiguous(AtenTensorHandle tensor, bool* is_contiguous);
AOTITorchError aoti_torch_empty_strided(
    int64_t dim, const int64_t* sizes, const int64_t* strides, int32_t dtype, int32_t device_type, int32_t device_index,
    AtenTensorHandle* tensor);
int32_t aoti_torch_dtype_float32();
int32_t aoti_torch_dtype_float64();
int32_t aoti_torch_dtype_int64();
int32_t aoti_torch_dtype_bool();
int32_t aoti_torch_dtype_uint8();
int32_t aoti_torch_memory_format_contiguous_format();

AOTITorchError aoti_torch_library_init_impl(
    const char* space, const char* key, const char* file, uint32_t line, TorchLibraryHandle* library);
AOTITorchError torch_library_impl(
    TorchLibraryHandle library, const char* name, void (*function)(StableIValue*, uint64_t, uint64_t),
    uint64_t built_for);
AOTITorchError torch_call_dispatcher(
    const char* name, const char* overload, StableIValue* stack, uint64_t built_for);
AOTITorchError torch_parallel_for(
    int64_t begin, int64_t end, int64_t grain, void (*function)(int64_t, int64_t, void*), void* context);

AOTITorchError aoti_torch_create_device_guard(int32_t device_index, DeviceGuardHandle* guard);
AOTITorchError aoti_torch_delete_device_guard(DeviceGuardHandle guard);
AOTITorchError aoti_torch_get_current_cuda_stream(int32_t device_index, void** stream);
}
