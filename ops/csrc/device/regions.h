// Regions of interest cut into cells, and what a cell reads along each axis of the image.
//
// Along an axis a cell has readings: two neighbouring pixels and their weights. The weight of a pixel in a cell is the
// product of its weights along y (axis 0) and x (axis 1), over the product of the two `whole`s.
#pragma once

#include "math.h"

namespace raydet {

#ifdef __CUDACC__
using Pixel = int32_t;  // a side of a map: threads of a GPU are short of registers
#else
using Pixel = int64_t;
#endif

// A small integer in floating point, which GPUs convert faster from 32 bits.
template <typename T>
RAYDET_BODY T number(int64_t i) {
  return static_cast<T>(static_cast<Pixel>(i));
}

template <typename T>
struct Reading {
  bool inside;  // false: outside the image, where everything is 0
  Pixel low, high;
  T low_weight, high_weight;
  bool moves = false;  // the weights change with the place: not where the border is repeated
};

// Rows of image index, x1, y1, x2, y2.
template <typename T>
struct Regions {
  const T* rois;
  int64_t count, images;
  int64_t limit[2], cells[2];  // rows and columns of the image, and of the grid of cells
  T scale;

  // The image of a region, or -1 if there is none of this index.
  RAYDET_BODY int64_t image(int64_t region) const {
    const T index = rois[5 * region];
    return index >= 0 && index < static_cast<T>(images) ? static_cast<int64_t>(index) : -1;
  }

  RAYDET_BODY T start(int64_t region, int axis) const { return rois[5 * region + 2 - axis] * scale; }
  RAYDET_BODY T end(int64_t region, int axis) const { return rois[5 * region + 4 - axis] * scale; }
};

template <typename T>
Regions<T> regions_of(const Tensor& input, const Tensor& rois, int64_t height, int64_t width, double scale) {
  return {rois.data<T>(), rois.size(0), input.size(0), {input.size(2), input.size(3)}, {height, width},
          static_cast<T>(scale)};
}

// Linear interpolation at a place, with the pixel at the border repeated for one pixel beyond it.
template <typename T>
RAYDET_BODY Reading<T> interpolate(T place, int64_t limit) {
  // Written so that NaN is outside.
  if (!(place >= -1 && place <= number<T>(limit))) return {false, 0, 0, 0, 0};
  const bool moves = place >= 0;
  place = larger(place, T(0));
  const Pixel low = static_cast<Pixel>(place), last = static_cast<Pixel>(limit - 1);
  if (low >= last) return {true, last, last, 1, 0};
  const T part = place - number<T>(low);
  return {true, low, low + 1, 1 - part, part, moves};
}

// Samples at equal distances in each cell, as RoIAlign takes them.
template <typename T>
struct SampledAxis {
  T first, cell, whole;  // where the region starts, extent of a cell, samples in a cell
  int64_t limit;

  RAYDET_BODY T place(int64_t c, T sample) const {
    return (first + number<T>(c) * cell) + ((sample + T(0.5)) * cell) / whole;
  }

  // Readings [begin, end) of a cell; of very many samples those that lie far outside are left out.
  RAYDET_BODY int64_t begin(int64_t c) const { return is_long() ? bounded((-1 - place(c, 0)) / step() - 1) : 0; }
  RAYDET_BODY int64_t end(int64_t c) const {
    return is_long() ? bounded((static_cast<T>(limit) - place(c, 0)) / step() + 2) : samples();
  }

  RAYDET_BODY int64_t samples() const { return static_cast<int64_t>(whole); }
  RAYDET_BODY Reading<T> reading(int64_t c, int64_t i) const { return interpolate(place(c, number<T>(i)), limit); }

 private:
  RAYDET_BODY T step() const { return cell / whole; }
  RAYDET_BODY bool is_long() const { return whole > 64 && cell > 0; }
  RAYDET_BODY int64_t bounded(T i) const { return i > 0 ? static_cast<int64_t>(smaller(i, whole)) : 0; }
};

template <typename T>
struct SampledRegions : Regions<T> {
  int64_t sampling_ratio;
  bool aligned, maximum;

  RAYDET_BODY SampledAxis<T> axis(int64_t region, int axis) const {
    const T shift = aligned ? T(0.5) : T(0);
    const T first = this->start(region, axis) - shift;
    T extent = this->end(region, axis) - shift - first;
    if (!aligned) extent = larger(extent, T(1));
    const T cell = extent / static_cast<T>(this->cells[axis]);
    T samples = sampling_ratio > 0 ? static_cast<T>(sampling_ratio) : ceil(cell);
    if (maximum) samples = larger(samples, T(1));
    // Regions that are infinite or not a number have no samples.
    if (!(samples > 0 && samples < T(1e9))) samples = 0;
    return {first, cell, samples, this->limit[axis]};
  }
};

// The integral of the linear interpolation over each cell, as precise RoI pooling takes it; outside the image is 0.
template <typename T>
struct IntegratedAxis {
  T first, whole;  // where the region starts, extent of a cell
  int64_t limit;

  RAYDET_BODY int64_t begin(int64_t c) const { return whole > 0 ? bounded(ceil(border(c) - 1)) : 0; }
  RAYDET_BODY int64_t end(int64_t c) const { return whole > 0 ? bounded(floor(border(c + 1) + 1) + 1) : 0; }
  RAYDET_BODY int64_t samples() const { return 1; }

  RAYDET_BODY Reading<T> reading(int64_t c, int64_t i) const {
    const T pixel = static_cast<T>(i);
    const Pixel at = static_cast<Pixel>(i);
    return {true, at, at, hat_area(border(c + 1) - pixel) - hat_area(border(c) - pixel), 0};
  }

  RAYDET_BODY T border(int64_t c) const { return first + static_cast<T>(c) * whole; }

 private:
  RAYDET_BODY int64_t bounded(T i) const {
    return i > 0 ? static_cast<int64_t>(smaller(i, static_cast<T>(limit))) : 0;
  }

  // The area under the hat of width 2 around 0, left of x.
  static RAYDET_BODY T hat_area(T x) {
    if (!(x > -1)) return 0;
    if (x >= 1) return 1;
    return x < 0 ? (1 + x) * (1 + x) / 2 : 1 - (1 - x) * (1 - x) / 2;
  }
};

template <typename T>
struct IntegratedRegions : Regions<T> {
  static constexpr bool maximum = false;

  RAYDET_BODY IntegratedAxis<T> axis(int64_t region, int axis) const {
    const T first = this->start(region, axis), extent = this->end(region, axis) - first;
    const T cell = extent / static_cast<T>(this->cells[axis]);
    return {first, extent > 0 && cell < T(1e9) ? cell : T(0), this->limit[axis]};
  }
};

// Calls `body(index)` for the elements of `(regions, channels, cells)`, which add to planes of their channel.
template <typename Body>
void launch_by_channel(const Tensor& where, int64_t regions, int64_t channels, int64_t cells, const Body& body) {
#ifdef __CUDACC__
  launch_scatter(where, regions * channels * cells, 1, body);
#else
  (void)where;
  parallel_for(channels, regions * cells * 16, [&](int64_t begin, int64_t end) {
    for (int64_t channel = begin; channel < end; ++channel) {
      for (int64_t region = 0; region < regions; ++region) {
        const int64_t first = (region * channels + channel) * cells;
        for (int64_t i = first; i < first + cells; ++i) body(i);
      }
    }
  });
#endif
}

}  // namespace raydet
