// Boxes as suppression sees them: coordinates side by side in columns, areas counted once.
#pragma once

#include <cmath>

#include "math.h"

namespace raydet {

template <typename T>
struct Box {
  T left, top, right, bottom, area;
};

// Intersection over union; the order of operands decides what NaN does, and is that of torchvision's CPU operator.
template <typename T>
RAYDET_BODY T overlap(const Box<T>& kept, const Box<T>& other) {
  const T width = smaller(other.right, kept.right) - larger(other.left, kept.left);
  const T height = smaller(other.bottom, kept.bottom) - larger(other.top, kept.top);
  const T inter = larger(width, T(0)) * larger(height, T(0));
  return inter / (kept.area + other.area - inter);
}

// Five columns of `stride` values each.
template <typename T>
struct BoxColumns {
  T* values;
  int64_t stride;

  RAYDET_BODY Box<T> operator[](int64_t i) const {
    return {values[i], values[stride + i], values[2 * stride + i], values[3 * stride + i], values[4 * stride + i]};
  }

  RAYDET_BODY void set(int64_t i, const Box<T>& box) const {
    values[i] = box.left;
    values[stride + i] = box.top;
    values[2 * stride + i] = box.right;
    values[3 * stride + i] = box.bottom;
    values[4 * stride + i] = box.area;
  }
};

// Box `i` of an (R, 4) array. With an offset of 1, right and bottom are the last pixel inside.
template <typename T>
RAYDET_BODY Box<T> read_box(const T* boxes, int64_t i, T offset) {
  const T* corner = boxes + 4 * i;
  const T right = corner[2] + offset, bottom = corner[3] + offset;
  return {corner[0], corner[1], right, bottom, (right - corner[0]) * (bottom - corner[1])};
}

// Column `rank` becomes box `order[rank]`.
template <typename T>
struct GatherBoxes {
  const T* boxes;
  const int64_t* order;
  BoxColumns<T> sorted;
  T offset;

  RAYDET_BODY void operator()(int64_t rank) const { sorted.set(rank, read_box(boxes, order[rank], offset)); }
};

// The greatest T not above a number: what exceeds the one exceeds the other.
template <typename T>
T rounded_down(double number) {
  const T nearest = static_cast<T>(number);
  return static_cast<double>(nearest) > number ? std::nextafter(nearest, static_cast<T>(-INFINITY)) : nearest;
}

}  // namespace raydet
