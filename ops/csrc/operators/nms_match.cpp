// The groups that greedy suppression forms. Their lists are read on the CPU, so they are made there.
#ifndef __CUDACC__
#include <algorithm>

#include "../abi/boxing.h"
#include "../device/boxes.h"
#include "../device/order.h"

namespace raydet {

// Moves the ranks behind `first` that overlap it to its side, both parts in their order; the end of its group.
template <typename T>
static int64_t* gather_group(
    int64_t* first, int64_t* end, const BoxColumns<T>& boxes, T threshold, std::vector<int64_t>& others) {
  const Box<T> kept = boxes[*first];
  int64_t *group = first + 1, *out = others.data();
  for (int64_t* rank = group; rank != end; ++rank) {
    const int64_t value = *rank;
    const bool joins = overlap(kept, boxes[value]) >= threshold;
    *group = value;  // without branches: what is not taken is written over by the next
    *out = value;
    group += joins;
    out += !joins;
  }
  std::copy(others.data(), out, group);
  return group;
}

static std::tuple<Tensor, Tensor> nms_match(const Tensor& boxes, const Tensor& scores, double iou_threshold) {
  const Tensor input = boxes.contiguous(), order = best_first(scores.contiguous());
  const int64_t count = input.size(0);
  const Tensor members = order.empty_like();
  int64_t* places = members.data<int64_t>();
  for (int64_t rank = 0; rank < count; ++rank) places[rank] = rank;
  std::vector<int64_t> sizes;
  dispatch_floating(input, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> columns(5 * count);
    std::vector<int64_t> others(count);
    const BoxColumns<T> sorted{columns.data(), count};
    launch(input, count, 8, GatherBoxes<T>{input.data<T>(), order.data<int64_t>(), sorted, T(0)});
    for (int64_t* first = places; first != places + count;) {
      int64_t* end = gather_group(first, places + count, sorted, static_cast<T>(iou_threshold), others);
      sizes.push_back(end - first);
      first = end;
    }
  });
  for (int64_t i = 0; i < count; ++i) places[i] = order.data<int64_t>()[places[i]];
  const Tensor lengths = input.empty<int64_t>({static_cast<int64_t>(sizes.size())});
  std::copy(sizes.begin(), sizes.end(), lengths.data<int64_t>());
  return {members, lengths};
}

RAYDET_KERNEL(nms_match);

}  // namespace raydet
#endif
