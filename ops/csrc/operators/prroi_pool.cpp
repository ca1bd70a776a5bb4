// Precise RoI pooling (arXiv:1807.11590): the mean of the linear interpolation over each cell.
#include "../abi/boxing.h"
#include "../device/pool_regions.h"

namespace raydet {

static Tensor prroi_pool(const Tensor& input, const Tensor& rois, int64_t height, int64_t width, double scale) {
  const Tensor image = input.contiguous(), regions = rois.contiguous();
  return dispatch_floating(image, [&](auto zero) {
    using T = decltype(zero);
    return pool_regions<T>(IntegratedRegions<T>{regions_of<T>(image, regions, height, width, scale)}, image);
  });
}

static Tensor prroi_pool_backward(
    const Tensor& grad, const Tensor& input, const Tensor& rois, int64_t height, int64_t width, double scale) {
  const Tensor upstream = grad.contiguous(), image = input.contiguous(), regions = rois.contiguous();
  return dispatch_floating(image, [&](auto zero) {
    using T = decltype(zero);
    const IntegratedRegions<T> grid{regions_of<T>(image, regions, height, width, scale)};
    return pool_regions_backward<T>(grid, image, upstream);
  });
}

RAYDET_KERNEL(prroi_pool);
RAYDET_KERNEL(prroi_pool_backward);

}  // namespace raydet
