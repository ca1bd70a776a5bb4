// RoIAlign (arXiv:1703.06870): the mean or the maximum of bilinear samples in each cell of a grid over each region.
#include "../abi/boxing.h"
#include "../device/pool_regions.h"

namespace raydet {

template <typename T>
static SampledRegions<T> sampled(
    const Tensor& input, const Tensor& rois, int64_t height, int64_t width, double scale, int64_t sampling_ratio,
    bool aligned, bool maximum) {
  return {regions_of<T>(input, rois, height, width, scale), sampling_ratio, aligned, maximum};
}

static Tensor roi_align(
    const Tensor& input, const Tensor& rois, int64_t height, int64_t width, double scale, int64_t sampling_ratio,
    bool aligned, bool maximum) {
  const Tensor image = input.contiguous(), regions = rois.contiguous();
  return dispatch_floating(image, [&](auto zero) {
    using T = decltype(zero);
    return pool_regions<T>(
        sampled<T>(image, regions, height, width, scale, sampling_ratio, aligned, maximum), image);
  });
}

static Tensor roi_align_backward(
    const Tensor& grad, const Tensor& input, const Tensor& rois, int64_t height, int64_t width, double scale,
    int64_t sampling_ratio, bool aligned, bool maximum) {
  const Tensor upstream = grad.contiguous(), image = input.contiguous(), regions = rois.contiguous();
  return dispatch_floating(image, [&](auto zero) {
    using T = decltype(zero);
    return pool_regions_backward<T>(
        sampled<T>(image, regions, height, width, scale, sampling_ratio, aligned, maximum), image, upstream);
  });
}

RAYDET_KERNEL(roi_align);
RAYDET_KERNEL(roi_align_backward);

}  // namespace raydet
