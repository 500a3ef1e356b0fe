// A convex combination of corners keeps the order of two channels wherever all corners have it. Rounding can blur that in
// two ways, and the margin outweighs both for every finite half:
// - the interpolated logits are rounded to half precision, by at most 2^-11 of each magnitude. A gap of 2^-9 of the winner's
//   magnitude at each corner is a gap of at least two units in the last place inside, as gap and magnitude average alike;
// - three interpolations in float32 are off by at most 2^-20 of the largest magnitude (65504), for both channels: 2^-3.
// Anything within the margin, infinite or NaN is unsure and gets the full comparison, so the labels are exact.

#include "sure_channels.h"

#include <cmath>

#include "simd.h"

namespace flare {

namespace {

constexpr float kAbsoluteMargin = 0x1p-3f;
constexpr float kRelativeMargin = 0x1p-9f;
constexpr float kLargest = 65504.0f;  // of the finite halves

int32_t code_of(int64_t channel) { return channel < kNoChannel ? static_cast<int32_t>(channel) : kUnsure; }

FLARE_CLONES void keep_two_largest(const float* logits, int32_t code, float* best, float* second, int32_t* channel,
                                   int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        const float logit = logits[i], leader = best[i], runner_up = second[i];
        const bool better = logit > leader;
        const float loser = better ? leader : logit;
        second[i] = loser > runner_up ? loser : runner_up;
        best[i] = better ? logit : leader;
        channel[i] = better ? code : channel[i];
    }
}

FLARE_CLONES void accept(const float* best, const float* second, const int32_t* channel, uint8_t* channels, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        const float size = std::fabs(best[i]);
        const bool sure = (best[i] - second[i] >= kAbsoluteMargin + kRelativeMargin * size) & (size <= kLargest);
        channels[i] = static_cast<uint8_t>(sure ? channel[i] : kUnsure);
    }
}

FLARE_CLONES void keep_last_positive(const float* logits, int32_t code, int32_t* channel, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        const bool positive = (logits[i] > kAbsoluteMargin) & (logits[i] <= kLargest);
        const bool negative = (logits[i] < -kAbsoluteMargin) & (logits[i] >= -kLargest);
        channel[i] = positive ? code : negative ? channel[i] : kUnsure;
    }
}

}  // namespace

SureChannels::SureChannels(int64_t columns) : logits_(columns), best_(columns), second_(columns), channel_(columns) {}

void SureChannels::find(const RingView& ring, Choice choice, int64_t plane, int64_t row, uint8_t* channels) {
    const Half* first_channel = ring.plane(0, plane) + row * ring.columns;
    if (choice == Choice::kFirstLargest) {
        find_largest(ring, first_channel, channels);
    } else {
        find_positive(ring, first_channel, channels);
    }
}

void SureChannels::find_largest(const RingView& ring, const Half* first_channel, uint8_t* channels) {
    const int64_t stride = ring.planes * ring.plane_size();
    best_.assign(best_.size(), -INFINITY);
    second_.assign(second_.size(), -INFINITY);
    channel_.assign(channel_.size(), 0);
    for (int64_t c = 0; c < ring.channels; ++c) {
        widen(first_channel + c * stride, logits_.data(), ring.columns);
        keep_two_largest(logits_.data(), code_of(c), best_.data(), second_.data(), channel_.data(), ring.columns);
    }
    accept(best_.data(), second_.data(), channel_.data(), channels, ring.columns);
}

void SureChannels::find_positive(const RingView& ring, const Half* first_channel, uint8_t* channels) {
    const int64_t stride = ring.planes * ring.plane_size();
    channel_.assign(channel_.size(), kNoChannel);
    for (int64_t c = 0; c < ring.channels; ++c) {
        widen(first_channel + c * stride, logits_.data(), ring.columns);
        keep_last_positive(logits_.data(), code_of(c), channel_.data(), ring.columns);
    }
    for (int64_t i = 0; i < ring.columns; ++i) channels[i] = static_cast<uint8_t>(channel_[i]);
}

}  // namespace flare
