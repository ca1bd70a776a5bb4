// Greedy non-maximum suppression: of one set of boxes, or of several groups that leave each other alone.
//
// The CPU compares each box, best first, with those kept before it. The GPU compares all pairs, 64 to a word, and one
// block walks through the words; `nms_by_words` is that way on either device.
#include <algorithm>
#include <atomic>

#include "../abi/boxing.h"
#include "../device/boxes.h"
#include "../device/order.h"

namespace raydet {

constexpr int64_t kWord = 64;
constexpr int64_t kRowsAtOnce = 4096;  // 64 words of 4096 rows are 2 MiB

// Word `index / rows` of row `first + index % rows`: which of 64 boxes this one suppresses. Neighbouring threads read
// the same boxes and write side by side.
template <typename T>
struct SuppressionWords {
  BoxColumns<T> boxes;
  const int64_t *order, *groups;  // groups: null where all boxes are of one
  const uint64_t* removed;
  uint64_t* words;
  int64_t count, first, rows;
  T threshold;

  RAYDET_BODY void operator()(int64_t index) const {
    const int64_t row = first + index % rows, start = index / rows * kWord;
    if (start + kWord <= row || removed[row / kWord] >> row % kWord & 1) return;
    const Box<T> kept = boxes[row];
    const int64_t end = smaller(start + kWord, count);
    uint64_t word = 0;
    for (int64_t i = larger(start, row + 1); i < end; ++i) {
      const bool meets = !groups || groups[order[i]] == groups[order[row]];
      word |= static_cast<uint64_t>(meets && overlap(kept, boxes[i]) > threshold) << (i - start);
    }
    words[index] = word;
  }
};

// What one block of threads does with the words, 64 rows at a step.
struct Reduction {
  const int64_t* order;
  const uint64_t* words;
  uint64_t* removed;
  int64_t* keep;
  int64_t* num_kept;
  int64_t count, first, rows, limit;

  RAYDET_BODY void operator()(int64_t step, int64_t thread, int64_t threads) const {
    const int64_t start = first + step * kWord, block = start / kWord;
    const uint64_t kept = survivors(start);
    for (int64_t other = block + 1 + thread; other * kWord < count; other += threads) strike(other, start, kept);
    if (thread == 0) record(start, kept);
  }

  // Every thread finds them for itself.
  RAYDET_BODY uint64_t survivors(int64_t start) const {
    const int64_t members = smaller(kWord, count - start);
    uint64_t kept = ~removed[start / kWord];
    if (members < kWord) kept &= (uint64_t{1} << members) - 1;
    const uint64_t* own = words + start / kWord * rows + (start - first);
    for (int64_t i = 0; i < members; ++i)
      if (kept >> i & 1) kept &= ~own[i];
    return kept;
  }

  RAYDET_BODY void strike(int64_t block, int64_t start, uint64_t kept) const {
    const uint64_t* column = words + block * rows + (start - first);
    uint64_t struck = 0;
    for (int64_t i = 0; i < kWord; ++i)
      if (kept >> i & 1) struck |= column[i];
    removed[block] |= struck;
  }

  RAYDET_BODY void record(int64_t start, uint64_t kept) const {
    for (int64_t i = 0; i < kWord && *num_kept < limit; ++i)
      if (kept >> i & 1) keep[(*num_kept)++] = order[start + i];
  }
};

// The first elements of a tensor, as many as another one says.
static Tensor shortened(const Tensor& values, const Tensor& length) {
  int64_t count = 0;
#ifdef __CUDACC__
  DeviceScope scope(values);
  const cudaStream_t stream = stream_of(values);
  cudaMemcpyAsync(&count, length.data<int64_t>(), sizeof(count), cudaMemcpyDeviceToHost, stream);
  check(cudaStreamSynchronize(stream) == cudaSuccess, "suppression failed on the GPU");
  const Tensor result = values.empty<int64_t>({count});
  cudaMemcpyAsync(
      result.data<int64_t>(), values.data<int64_t>(), count * sizeof(count), cudaMemcpyDeviceToDevice, stream);
#else
  count = *length.data<int64_t>();
  const Tensor result = values.empty<int64_t>({count});
  std::copy_n(values.data<int64_t>(), count, result.data<int64_t>());
#endif
  return result;
}

static Tensor nms_by_words(
    const Tensor& boxes, const Tensor& scores, const std::optional<Tensor>& groups, bool split, double iou_threshold,
    int64_t offset, int64_t max_num) {
  const Tensor input = boxes.contiguous(), order = best_first(scores.contiguous()).contiguous();
  const std::optional<Tensor> labels = groups && split ? std::optional<Tensor>(groups->contiguous()) : std::nullopt;
  const int64_t count = input.size(0), num_words = (count + kWord - 1) / kWord, rows = smaller(kRowsAtOnce, count);
  const Tensor words = input.empty<int64_t>({num_words * rows}), removed = input.zeros<int64_t>({num_words});
  const Tensor keep = input.empty<int64_t>({count}), num_kept = input.zeros<int64_t>({1});
  auto* word_data = reinterpret_cast<uint64_t*>(words.data<int64_t>());
  auto* removed_data = reinterpret_cast<uint64_t*>(removed.data<int64_t>());
  dispatch_floating(input, [&](auto zero) {
    using T = decltype(zero);
    const Tensor columns = input.empty<T>({5 * count});
    const BoxColumns<T> sorted{columns.data<T>(), count};
    launch(input, count, 8, GatherBoxes<T>{input.data<T>(), order.data<int64_t>(), sorted, static_cast<T>(offset)});
    for (int64_t first = 0; first < count; first += rows) {
      launch(
          input, num_words * rows, kWord * 8,
          SuppressionWords<T>{
              sorted, order.data<int64_t>(), labels ? labels->data<int64_t>() : nullptr, removed_data, word_data,
              count, first, rows, rounded_down<T>(iou_threshold)});
      launch_steps(
          input, (smaller(rows, count - first) + kWord - 1) / kWord,
          Reduction{order.data<int64_t>(), word_data, removed_data, keep.data<int64_t>(), num_kept.data<int64_t>(),
                    count, first, rows, max_num > 0 ? max_num : count});
    }
  });
  return shortened(keep, num_kept);
}

#ifdef __CUDACC__

static Tensor nms(
    const Tensor& boxes, const Tensor& scores, const std::optional<Tensor>& groups, bool split, double iou_threshold,
    int64_t offset, int64_t max_num) {
  return nms_by_words(boxes, scores, groups, split, iou_threshold, offset, max_num);
}

#else

// Boxes that were kept, in blocks of as many as are compared at once. Room that is not taken is NaN, which no
// comparison finds.
template <typename T>
class KeptBoxes {
 public:
  explicit KeptBoxes(int64_t capacity)
      : stride_((capacity + kBlock - 1) / kBlock * kBlock), values_(5 * stride_, static_cast<T>(NAN)) {}

  int64_t size() const { return size_; }
  void add(const Box<T>& box) { columns().set(size_++, box); }

  bool suppress(const Box<T>& box, T threshold) {
    const BoxColumns<T> kept = columns();
    for (int64_t start = 0; start < size_; start += kBlock) {
      int found = 0;
      for (int64_t i = 0; i < kBlock; ++i) found |= overlap(kept[start + i], box) > threshold;
      if (found) return true;
    }
    return false;
  }

 private:
  static constexpr int64_t kBlock = 128 / sizeof(T);

  BoxColumns<T> columns() { return {values_.data(), stride_}; }

  int64_t stride_, size_ = 0;
  std::vector<T> values_;
};

using Entries = std::vector<RadixOrder::Entry>;

// The ends of the runs of equal keys.
static std::vector<int64_t> ends_of_runs(const Entries& entries) {
  std::vector<int64_t> ends;
  for (size_t i = 1; i <= entries.size(); ++i)
    if (i == entries.size() || entries[i].key != entries[i - 1].key) ends.push_back(static_cast<int64_t>(i));
  return ends;
}

// Whether each run lies to the right of the one before it, so that no box can suppress one of another run.
template <typename T>
static bool lie_apart(const Entries& entries, const BoxColumns<T>& boxes) {
  T border = -INFINITY, rightmost = -INFINITY;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Box<T> box = boxes[entries[i].place];
    if (i && entries[i].key != entries[i - 1].key) border = rightmost;
    if (!(box.left >= border && box.right >= border && box.left <= INFINITY && box.right <= INFINITY)) return false;
    rightmost = larger(rightmost, larger(box.left, box.right));
  }
  return true;
}

// Marks the kept ones of the ranks in `entries`, which stand best first.
template <typename T>
static void suppress_run(
    const RadixOrder::Entry* begin, const RadixOrder::Entry* end, const BoxColumns<T>& boxes, T threshold,
    int64_t limit, uint8_t* marks) {
  KeptBoxes<T> kept(smaller<int64_t>(limit, end - begin));
  for (auto* entry = begin; entry != end && kept.size() < limit; ++entry) {
    const Box<T> box = boxes[entry->place];
    if (kept.suppress(box, threshold)) continue;
    kept.add(box);
    marks[entry->place] = 1;
  }
}

// Ranks by group, or all in one run where groups may meet.
template <typename T>
static Entries runs_of(
    const std::optional<Tensor>& groups, bool split, const int64_t* order, const BoxColumns<T>& boxes, int64_t count,
    T threshold) {
  Entries single(count);
  for (int64_t rank = 0; rank < count; ++rank) single[rank] = {0, rank};
  if (!groups) return single;
  const int64_t* labels = groups->data<int64_t>();
  Entries grouped = single;
  for (Entries::value_type& entry : grouped) entry.key = key_of(labels[order[entry.place]]);
  grouped = RadixOrder(std::move(grouped)).entries();
  return split || (threshold >= 0 && lie_apart(grouped, boxes)) ? grouped : single;
}

static Tensor nms(
    const Tensor& boxes, const Tensor& scores, const std::optional<Tensor>& groups, bool split, double iou_threshold,
    int64_t offset, int64_t max_num) {
  const Tensor input = boxes.contiguous(), order = best_first(scores.contiguous());
  const std::optional<Tensor> labels = groups ? std::optional<Tensor>(groups->contiguous()) : std::nullopt;
  const int64_t count = input.size(0), limit = max_num > 0 ? max_num : count;
  const int64_t* places = order.data<int64_t>();
  std::vector<uint8_t> marks(count);
  dispatch_floating(input, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> columns(5 * count);
    const BoxColumns<T> sorted{columns.data(), count};
    launch(input, count, 8, GatherBoxes<T>{input.data<T>(), places, sorted, static_cast<T>(offset)});
    const T threshold = rounded_down<T>(iou_threshold);
    const Entries runs = runs_of(labels, split, places, sorted, count, threshold);
    const std::vector<int64_t> ends = ends_of_runs(runs);
    parallel_for(ends.size(), kGrain / 4, [&](int64_t begin, int64_t end) {
      for (int64_t run = begin; run < end; ++run) {
        const auto* first = runs.data() + (run ? ends[run - 1] : 0);
        suppress_run(first, runs.data() + ends[run], sorted, threshold, limit, marks.data());
      }
    });
  });
  std::vector<int64_t> keep;
  for (int64_t rank = 0; rank < count && static_cast<int64_t>(keep.size()) < limit; ++rank)
    if (marks[rank]) keep.push_back(places[rank]);
  const Tensor result = input.empty<int64_t>({static_cast<int64_t>(keep.size())});
  std::copy(keep.begin(), keep.end(), result.data<int64_t>());
  return result;
}

#endif

RAYDET_KERNEL(nms);
RAYDET_KERNEL(nms_by_words);

}  // namespace raydet
