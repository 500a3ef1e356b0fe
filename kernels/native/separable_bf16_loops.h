// The innermost loops of separable.cpp for values stored in bfloat16, in registers of 512 bits: `vdpbf16ps` multiplies 32 of them
// and adds neighbours up, 16 sums, in the time of one multiplication of 16 floats. It rounds to nearest and takes denormals as 0.
//
// Kernels of a depthwise convolution are (row of taps 9, channels / 16, 4, 16, 2). The four meet a pair of voxels (2q, 2q + 1) and
// are 0 where a tap does not reach it: (0, left) and (middle, right) give voxel 2q from the pair before and its own, (left,
// middle) and (right, 0) voxel 2q + 1 from its own and the next.

#include "separable_bf16_vectors.h"

namespace flare {
namespace rows_of_bf16 {

// A Pair holds 16 channels of two voxels that stand side by side.
using namespace bf16_vectors;

FLARE_INLINE __m512 dot(__m512 sum, __m512i a, __m512i b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

FLARE_INLINE __m512i load(const Bf16* at) { return _mm512_loadu_si512(at); }
FLARE_INLINE void store(Bf16* at, __m512i values) { _mm512_storeu_si512(at, values); }

// 16 values of one voxel, rounded.
FLARE_INLINE void store(Bf16* at, __m512 values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values)));
}

// Two channels in every lane.
FLARE_INLINE __m512i both(const Bf16* channels) {
    int pair;
    std::memcpy(&pair, channels, sizeof pair);
    return _mm512_set1_epi32(pair);
}

// A row of a map, activated: channels c to c + 15 of it, pair by pair; zeros beyond its last voxel.
class Row {
 public:
    Row(const FeatureMap& map, const void* row, int64_t c)
        : values_(static_cast<const Bf16*>(row) + 2 * c), single_(static_cast<const float*>(row)), pitch_(2 * map.channels),
          voxels_(map.size.x), one_channel_(map.one_channel), scale_(_mm512_loadu_ps(map.scale + c)),
          shift_(_mm512_loadu_ps(map.shift + c)) {}

    FLARE_INLINE Pair operator[](int64_t pair) const {
        if (2 * pair >= voxels_) return {_mm512_setzero_ps(), _mm512_setzero_ps()};
        const bool lone = 2 * pair + 1 == voxels_;
        const Pair stored = one_channel_ ? Pair{_mm512_set1_ps(single_[2 * pair]), _mm512_set1_ps(single_[2 * pair + !lone])}
                                         : unpack(load(values_ + pair * pitch_));
        return {activated(stored.even, scale_, shift_), lone ? _mm512_setzero_ps() : activated(stored.odd, scale_, shift_)};
    }

 private:
    const Bf16* values_;
    const float* single_;
    int64_t pitch_, voxels_;
    bool one_channel_;
    __m512 scale_, shift_;
};

inline void activate(const FeatureMap& map, const void* row, int64_t voxels, Bf16* to, int64_t pitch) {
    for (int64_t c = 0; c < map.channels; c += kLanes) {
        const Row from(map, row, c);
        for (int64_t pair = 0; 2 * pair < voxels; ++pair) store(to + 2 * (pair * pitch + c), pack(from[pair]));
    }
}

constexpr int kVoxels = 8;  // at once

// 16 channels of kVoxels voxels.
struct Voxels {
    __m512 at[kVoxels];

    // Writes the first `count`, two and two; an odd one goes with zeros. Whole vectors stay in registers this way.
    template <class Put>
    FLARE_INLINE void in_pairs(int64_t count, const Put& put) const {
        if (count >= kVoxels) {
#pragma GCC unroll 8
            for (int i = 0; i < kVoxels; i += 2) put(i, Pair{at[i], at[i + 1]});
            return;
        }
#pragma GCC unroll 8
        for (int i = 0; i < kVoxels; i += 2) {
            if (i < count) put(i, Pair{at[i], i + 1 < count ? at[i + 1] : _mm512_setzero_ps()});
        }
    }
};

// kVoxels voxels of `in` channels, mixed to 16: sum over k of voxel[k] * weights[k], weights (in / 2, 16, 2).
FLARE_INLINE Voxels mix(const Bf16* voxels, int64_t in, const Bf16* weights, __m512 start) {
    Voxels sums;
#pragma GCC unroll 8
    for (int i = 0; i < kVoxels; ++i) sums.at[i] = start;
    for (int64_t k = 0; k < in; k += 2) {
        const __m512i weight = load(weights + k * kLanes);
#pragma GCC unroll 8
        for (int i = 0; i < kVoxels; ++i) sums.at[i] = dot(sums.at[i], weight, both(voxels + i * in + k));
    }
    return sums;
}

// One row of an upsampled map. `below` is the activated row (voxels, in); kSpare voxels behind it may be read.
inline void upsample_row(const BlockSource<Bf16>& source, const void* row, const Bf16* kernel, Bf16* below, Bf16* to, int64_t pitch) {
    const Upsampling<Bf16>& up = source.up;
    const int64_t voxels = source.map.size.x, in = source.map.channels;
    for (int64_t c = 0; c < in; c += kLanes) {
        const Row from(source.map, row, c);
        for (int64_t pair = 0; 2 * pair < voxels; ++pair) {
            const Pair values = from[pair];
            store(below + 2 * pair * in + c, values.even);
            store(below + (2 * pair + 1) * in + c, values.odd);
        }
    }
    for (int64_t c = 0; c < up.channels; c += kLanes) {
        const __m512 bias = _mm512_loadu_ps(up.bias + c);
        Bf16* at = to + 2 * c;
        for (int64_t x = 0; x < voxels; x += kVoxels) {
            const Voxels left = mix(below + x * in, in, kernel + c * in, bias);
            if (up.stride.x == 1) {
                left.in_pairs(voxels - x, [&](int i, Pair pair) { store(at + (x + i) * pitch, pack(pair)); });
                continue;
            }
            const Voxels right = mix(below + x * in, in, kernel + (up.channels + c) * in, bias);
#pragma GCC unroll 8
            for (int i = 0; i < kVoxels; ++i) {
                if (x + i < voxels) store(at + 2 * (x + i) * pitch, pack({left.at[i], right.at[i]}));
            }
        }
    }
}

// Depthwise 3^3 along one row: rows[3 * dz + dy] begin with the pair left of the row; (voxels, channels) results.
template <int kStride>
FLARE_INLINE void depthwise_row(const Bf16* const* rows, const Bf16* kernel, int64_t channels, int64_t voxels, Bf16* to) {
    constexpr int kPairs = kStride == 1 ? kVoxels / 2 + 2 : kVoxels + 1;
    for (int64_t c = 0; c < channels; c += kLanes) {
        for (int64_t x = 0; x < voxels; x += kVoxels) {
            __m512 sums[kVoxels];
            for (int i = 0; i < kVoxels; ++i) sums[i] = _mm512_setzero_ps();
            for (int tap = 0; tap < 9; ++tap) {
                const Bf16* row = rows[tap] + x * kStride * channels + 2 * c;
                const Bf16* weights = kernel + 8 * (tap * channels + c);
                __m512i pairs[kPairs], taps[4];
#pragma GCC unroll 16
                for (int i = 0; i < kPairs; ++i) pairs[i] = load(row + 2 * i * channels);
#pragma GCC unroll 4
                for (int i = 0; i < 4; ++i) taps[i] = load(weights + 32 * i);
#pragma GCC unroll 16
                for (int i = 0; i < kVoxels; ++i) {
                    const int own = (kStride == 1 ? i / 2 : i) + 1, odd = kStride == 1 ? i % 2 : 0;
                    sums[i] = dot(sums[i], pairs[odd ? own : own - 1], taps[odd ? 2 : 0]);
                    sums[i] = dot(sums[i], pairs[odd ? own + 1 : own], taps[odd ? 3 : 1]);
                }
            }
#pragma GCC unroll 16
            for (int i = 0; i < kVoxels; ++i) store(to + (x + i) * channels + c, sums[i]);
        }
    }
}

inline void depthwise(const Bf16* const* rows, const Bf16* kernel, int64_t channels, int64_t stride, int64_t voxels, Bf16* to) {
    if (stride == 1) return depthwise_row<1>(rows, kernel, channels, voxels, to);
    depthwise_row<2>(rows, kernel, channels, voxels, to);
}

// As in separable_loops.h. The sums are those of the values before they are rounded.
inline void pointwise(const Bf16* voxels, int64_t in, const Bf16* kernel, int64_t out, int64_t count, Bf16* to, float* sums) {
    for (int64_t c = 0; c < out; c += kLanes) {
        __m512 first = _mm512_setzero_ps(), sum = first, squares = first;
        for (int64_t x = 0; x < count; x += kVoxels) {
            const Voxels mixed = mix(voxels + x * in, in, kernel + c * in, _mm512_setzero_ps());
            if (x == 0) first = mixed.at[0];
#pragma GCC unroll 8
            for (int i = 0; i < kVoxels; ++i) {
                if (x + i >= count) continue;
                const __m512 more = _mm512_sub_ps(mixed.at[i], first);
                sum = _mm512_add_ps(sum, more);
                squares = _mm512_fmadd_ps(more, more, squares);
            }
            Bf16* at = to + x * out + 2 * c;
            mixed.in_pairs(count - x, [&](int i, Pair pair) { _mm512_stream_si512(reinterpret_cast<__m512i*>(at + i * out), pack(pair)); });
        }
        _mm512_storeu_ps(sums + c, first);
        _mm512_storeu_ps(sums + out + c, sum);
        _mm512_storeu_ps(sums + 2 * out + c, squares);
    }
    _mm_sfence();  // streamed values are there for the threads that read them next
}

constexpr int kPlaces[8] = {0, 4, 2, 6, 1, 5, 3, 7};

// 16 voxels' 8 pairs of channels, two voxels a vector, as 8 vectors of a pair of channels each: vector i has pair kPlaces[i].
FLARE_INLINE void across(__m512i* v) {
    // Each step halves how many pairs of channels a vector holds: what two vectors have of a half goes together.
    const __m512i low = _mm512_setr_epi32(0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    const __m512i lows[3] = {low, _mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29),
                             _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)};
    const int ups[3] = {4, 2, 1};
#pragma GCC unroll 3
    for (int step = 0; step < 3; ++step) {
        const __m512i high = _mm512_add_epi32(lows[step], _mm512_set1_epi32(ups[step]));
        __m512i next[8];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            // vectors 2i and 2i + 1 hold neighbouring voxels of the same pairs of channels; those of half h go to h * 4 + i
            next[i] = _mm512_permutex2var_epi32(v[2 * i], lows[step], v[2 * i + 1]);
            next[4 + i] = _mm512_permutex2var_epi32(v[2 * i], high, v[2 * i + 1]);
        }
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) v[i] = next[i];
    }
}

// kCount logits of 16 voxels: `voxels` (in / 2, 16, 2), `kernel` (logits, in).
template <int kCount>
void logits_of(const Bf16* voxels, int64_t in, const Bf16* kernel, const float* bias, int64_t count, float* to, int64_t plane) {
    __m512 sums[kCount];
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) sums[i] = _mm512_set1_ps(bias[i]);
    for (int64_t k = 0; k < in; k += 2) {
        const __m512i pair = load(voxels + k * kLanes);
#pragma GCC unroll 8
        for (int i = 0; i < kCount; ++i) sums[i] = dot(sums[i], pair, both(kernel + i * in + k));
    }
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) put_logits(to + i * plane, sums[i], count);
}

constexpr decltype(&logits_of<1>) kLogits[] = {nullptr,      logits_of<1>, logits_of<2>, logits_of<3>, logits_of<4>,
                                               logits_of<5>, logits_of<6>, logits_of<7>, logits_of<8>};

inline void logits_row(const FeatureMap& map, const void* row, const Bf16* kernel, const float* bias, int64_t logits, Bf16* voxels,
                       float* to) {
    const int64_t in = map.channels, plane = map.size.voxels();
    for (int64_t c = 0; c < in; c += kLanes) {
        const Row from(map, row, c);
        for (int64_t x = 0; x < map.size.x; x += kLanes) {
            __m512i block[8];
            for (int i = 0; i < 8; ++i) block[i] = one_by_one(from[x / 2 + i]);
            across(block);
            for (int i = 0; i < 8; ++i) store(voxels + x * in + (c + 2 * kPlaces[i]) * kLanes, block[i]);
        }
    }
    for (int64_t x = 0; x < map.size.x; x += kLanes) {
        for (int64_t done = 0; done < logits; done += 8) {
            const auto some = kLogits[logits - done < 8 ? logits - done : 8];
            some(voxels + x * in, in, kernel + done * in, bias + done, map.size.x - x, to + done * plane + x, plane);
        }
    }
    _mm_sfence();
}

const RowLoops<Bf16> kLoops{activate, upsample_row, depthwise, pointwise, logits_row};

}  // namespace rows_of_bf16
}  // namespace flare
