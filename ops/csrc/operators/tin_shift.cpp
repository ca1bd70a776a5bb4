// Temporal interlacing (arXiv:2001.06499): groups of channels of a clip move along time by whole frames.
#include "../abi/boxing.h"
#include "../device/launch.h"

namespace raydet {

template <typename T>
struct TimeShift {
  const T* input;  // (clips, frames, channels, pixels)
  const int64_t* shift;  // (clips, groups)
  T* result;
  int64_t frames, channels, pixels, groups, direction;

  struct Row {
    int64_t to, from;  // from < 0 where nothing arrives
  };

  RAYDET_BODY Row row(int64_t i) const {
    const Parts of_channel = divide(i, channels), of_frame = divide(of_channel.whole, frames);
    const int64_t channel = of_channel.rest, frame = of_frame.rest, clip = of_frame.whole;
    const int64_t moved = shift[clip * groups + quotient(channel, quotient(channels, groups))];
    // Compared before it is subtracted: a shift may be any number.
    const bool stays = moved > -frames && moved < frames;
    const int64_t source = stays ? frame - direction * moved : -1;
    if (source < 0 || source >= frames) return {i * pixels, -1};
    return {i * pixels, ((clip * frames + source) * channels + channel) * pixels};
  }

  RAYDET_BODY void operator()(const Row& row, int64_t pixel) const {
    result[row.to + pixel] = row.from < 0 ? T(0) : input[row.from + pixel];
  }
};

// A direction of -1 undoes a shift, which is also its gradient.
static Tensor tin_shift(const Tensor& input, const Tensor& shift, int64_t direction) {
  const Tensor clips = input.contiguous(), moves = shift.contiguous(), result = clips.empty_like();
  dispatch_floating(clips, [&](auto zero) {
    using T = decltype(zero);
    const TimeShift<T> body{clips.data<T>(), moves.data<int64_t>(), result.data<T>(), clips.size(1), clips.size(2),
                            clips.size(3),   moves.size(1),         direction};
    launch_rows(clips, clips.size(0) * clips.size(1) * clips.size(2), clips.size(3), 1, body);
  });
  return result;
}

RAYDET_KERNEL(tin_shift);

}  // namespace raydet
