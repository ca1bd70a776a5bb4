// Masks stretched to their boxes on the image, bilinearly, and thresholded.
#include "../abi/boxing.h"
#include "../device/math.h"

namespace raydet {

// Two neighbouring cells of a mask and their weights in a pixel; cells outside the mask weigh 0.
template <typename T>
struct Blend {
  int32_t low, high;
  T low_weight, high_weight;
};

// The pixels of an image axis that a box touches, one more on each side, and what they show of the mask.
template <typename T>
struct Stretch {
  T start, end;
  int64_t cells, limit;

  RAYDET_BODY int64_t first() const { return bounded(floor(start) - 1); }
  RAYDET_BODY int64_t last() const { return is_finite(start) && is_finite(end) ? bounded(ceil(end) + 1) : 0; }

  RAYDET_BODY Blend<T> blend(int64_t pixel) const {
    T relative = ((static_cast<T>(pixel) + T(0.5)) - start) / (end - start);
    // A box without extent shows the middle of its mask.
    if (!is_finite(relative)) relative = T(0.5);
    const T place = relative * static_cast<T>(cells) - T(0.5);
    const T low = floor(place), most = static_cast<T>(cells - 1);
    const T low_weight = low >= 0 && low <= most ? 1 - (place - low) : T(0);
    const T high_weight = low + 1 >= 0 && low + 1 <= most ? 1 - ((low + 1) - place) : T(0);
    return {static_cast<int32_t>(smaller(larger(low, T(0)), most)),
            static_cast<int32_t>(smaller(larger(low + 1, T(0)), most)), low_weight, high_weight};
  }

 private:
  static RAYDET_BODY bool is_finite(T value) { return value - value == 0; }

  RAYDET_BODY int64_t bounded(T pixel) const {
    return pixel > 0 ? static_cast<int64_t>(smaller(pixel, static_cast<T>(limit))) : 0;
  }
};

template <typename T>
struct Paste {
  const T *masks, *boxes;
  uint8_t* canvas;
  int64_t height, width, image_height, image_width;
  T threshold;  // negative: write the value times 255

  RAYDET_BODY Stretch<T> rows(int64_t mask) const {
    return {boxes[4 * mask + 1], boxes[4 * mask + 3], height, image_height};
  }

  RAYDET_BODY Stretch<T> columns(int64_t mask) const {
    return {boxes[4 * mask], boxes[4 * mask + 2], width, image_width};
  }

  RAYDET_BODY uint8_t shown(T value) const {
    if (threshold >= 0) return value >= threshold;
    return static_cast<uint8_t>(value > 0 ? smaller(value * 255, T(255)) : T(0));
  }

  // One pixel: what a thread of a GPU does.
  RAYDET_BODY void operator()(int64_t index) const {
    const Parts row = divide(index, image_width), plane = divide(row.whole, image_height);
    const int64_t x = row.rest, y = plane.rest, mask = plane.whole;
    const Stretch<T> down = rows(mask), across = columns(mask);
    if (y < down.first() || y >= down.last() || x < across.first() || x >= across.last()) return;
    const Blend<T> a = down.blend(y), b = across.blend(x);
    const T *above = masks + (mask * height + a.low) * width, *below = masks + (mask * height + a.high) * width;
    const T left = a.low_weight * above[b.low] + a.high_weight * below[b.low];
    const T right = a.low_weight * above[b.high] + a.high_weight * below[b.high];
    canvas[index] = shown(b.low_weight * left + b.high_weight * right);
  }

#ifndef __CUDACC__
  // One mask: what a thread of a CPU does, with the blends of columns and the mixed row of the mask kept.
  void paste(int64_t mask, std::vector<Blend<T>>& blends, std::vector<T>& mixed) const {
    const Stretch<T> down = rows(mask), across = columns(mask);
    const int64_t left = across.first(), right = across.last();
    for (int64_t x = left; x < right; ++x) blends[x] = across.blend(x);
    for (int64_t y = down.first(); y < down.last(); ++y) {
      const Blend<T> a = down.blend(y);
      const T *above = masks + (mask * height + a.low) * width, *below = masks + (mask * height + a.high) * width;
      for (int64_t j = 0; j < width; ++j) mixed[j] = a.low_weight * above[j] + a.high_weight * below[j];
      uint8_t* row = canvas + (mask * image_height + y) * image_width;
      for (int64_t x = left; x < right; ++x) {
        const Blend<T>& b = blends[x];
        row[x] = shown(b.low_weight * mixed[b.low] + b.high_weight * mixed[b.high]);
      }
    }
  }
#endif
};

// The canvas comes zeroed; only pixels under boxes are written.
static void paste_masks(const Tensor& masks, const Tensor& boxes, const Tensor& canvas, double threshold) {
  const Tensor cells = masks.contiguous(), frames = boxes.contiguous();
  dispatch_floating(cells, [&](auto zero) {
    using T = decltype(zero);
    const Paste<T> body{cells.data<T>(),  frames.data<T>(), canvas.data<uint8_t>(), cells.size(1),
                        cells.size(2),    canvas.size(1),   canvas.size(2),         static_cast<T>(threshold)};
#ifdef __CUDACC__
    launch(canvas, canvas.numel(), 1, body);
#else
    parallel_for(cells.size(0), body.image_height * body.image_width, [&](int64_t begin, int64_t end) {
      std::vector<Blend<T>> blends(body.image_width);
      std::vector<T> mixed(body.width);
      for (int64_t mask = begin; mask < end; ++mask) body.paste(mask, blends, mixed);
    });
#endif
  });
}

RAYDET_KERNEL(paste_masks);

}  // namespace raydet
