// Pooling of regions on either device.
#pragma once

#ifdef __CUDACC__
#include "pool_elements.h"
#else
#include "pool_planes.h"
#endif

namespace raydet {

template <typename T, typename Grid>
Tensor pool_regions(const Grid& grid, const Tensor& input) {
  const int64_t channels = input.size(1);
  const Tensor output = input.empty<T>({grid.count, channels, grid.cells[0], grid.cells[1]});
#ifdef __CUDACC__
  launch(input, output.numel(), 1, PoolElement<T, Grid>{grid, input.data<T>(), channels, output.data<T>()});
#else
  if (output.numel()) PlanePooling<T, Grid>(grid, channels).forward(input.data<T>(), output.data<T>());
#endif
  return output;
}

template <typename T, typename Grid>
Tensor pool_regions_backward(const Grid& grid, const Tensor& input, const Tensor& upstream) {
  const int64_t channels = input.size(1);
  const T *values = input.data<T>(), *grad = upstream.data<T>();
#ifdef __CUDACC__
  const Tensor gradient = input.zeros_like();
  launch_scatter(input, upstream.numel(), 1, PoolElementBackward<T, Grid>{grid, values, grad, channels, gradient.data<T>()});
#else
  const Tensor gradient = input.empty_like();
  if (gradient.numel()) PlanePooling<T, Grid>(grid, channels).backward(values, grad, gradient.data<T>());
#endif
  return gradient;
}

}  // namespace raydet
