// Overlap of every pair of boxes, or of boxes at the same place, without intermediate tables.
#include "../abi/boxing.h"
#include "../device/boxes.h"

namespace raydet {

enum Mode : int64_t { kIou, kIof, kGiou };

template <typename T>
RAYDET_BODY T at_least(T value, T least) {
  return value < least ? least : value;  // NaN stays
}

// In the order in which `raydet.geometry` computes it, so that both agree to the bit.
template <int64_t mode, typename T>
RAYDET_BODY T measure(const Box<T>& a, const Box<T>& b, T eps) {
  const T width = at_least(smaller(a.right, b.right) - larger(a.left, b.left), T(0));
  const T inter = width * at_least(smaller(a.bottom, b.bottom) - larger(a.top, b.top), T(0));
  if constexpr (mode == kIof) return inter / at_least(a.area, eps);
  const T both = at_least(a.area + b.area - inter, eps);
  if constexpr (mode == kIou) return inter / both;
  const T hull_width = at_least(larger(a.right, b.right) - smaller(a.left, b.left), T(0));
  const T hull_height = at_least(larger(a.bottom, b.bottom) - smaller(a.top, b.top), T(0));
  const T hull = at_least(hull_width * hull_height, eps);
  return inter / both - (hull - both) / hull;
}

template <typename T>
struct InColumns {
  const T* boxes;
  BoxColumns<T> columns;
  T offset;

  RAYDET_BODY void operator()(int64_t i) const { columns.set(i, read_box(boxes, i, offset)); }
};

template <int64_t mode, typename T>
struct PairOverlaps {
  const T* boxes;
  BoxColumns<T> others;
  T* result;
  int64_t per_batch, columns;
  T offset, eps;

  struct Row {
    Box<T> box;
    int64_t others, results;
  };

  RAYDET_BODY Row row(int64_t i) const { return {read_box(boxes, i, offset), i / per_batch * columns, i * columns}; }

  RAYDET_BODY void operator()(const Row& row, int64_t column) const {
    result[row.results + column] = measure<mode>(row.box, others[row.others + column], eps);
  }
};

template <int64_t mode, typename T>
struct AlignedOverlaps {
  const T *boxes, *others;
  T* result;
  T offset, eps;

  RAYDET_BODY void operator()(int64_t i) const {
    result[i] = measure<mode>(read_box(boxes, i, offset), read_box(others, i, offset), eps);
  }
};

struct Request {
  Tensor first, second, result;
  bool aligned;
  int64_t offset;
  double eps;

  template <int64_t mode, typename T>
  void run() const {
    const T shift = static_cast<T>(offset), least = static_cast<T>(eps);
    const T *boxes = first.data<T>(), *others = second.data<T>();
    if (aligned) {
      launch(first, result.numel(), 30, AlignedOverlaps<mode, T>{boxes, others, result.data<T>(), shift, least});
      return;
    }
    const int64_t count = second.numel() / 4;
    const Tensor storage = second.empty<T>({5 * count});
    const BoxColumns<T> columns{storage.data<T>(), count};
    launch(second, count, 8, InColumns<T>{others, columns, shift});
    launch_rows(
        first, first.numel() / 4, second.size(1), 4,
        PairOverlaps<mode, T>{boxes, columns, result.data<T>(), first.size(1), second.size(1), shift, least});
  }
};

// Boxes are (B, M, 4) and (B, N, 4); the result is (B, M, N), or (B, M) when aligned.
static Tensor bbox_overlaps(
    const Tensor& bboxes1, const Tensor& bboxes2, int64_t mode, bool aligned, int64_t offset, double eps) {
  const Tensor first = bboxes1.contiguous(), second = bboxes2.contiguous();
  std::vector<int64_t> sizes{first.size(0), first.size(1)};
  if (!aligned) sizes.push_back(second.size(1));
  const Request request{first, second, first.empty(sizes, first.dtype()), aligned, offset, eps};
  dispatch_floating(first, [&](auto zero) {
    using T = decltype(zero);
    if (mode == kIou) request.run<kIou, T>();
    if (mode == kIof) request.run<kIof, T>();
    if (mode == kGiou) request.run<kGiou, T>();
  });
  return request.result;
}

RAYDET_KERNEL(bbox_overlaps);

}  // namespace raydet
