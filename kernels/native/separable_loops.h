// The innermost loops of separable.cpp, over vectors of 16 floats. Included once for each width of registers (FLARE_BITS), in a
// namespace of its own (FLARE_ISA), behind the pragma that names the processor's features.

namespace flare {
namespace FLARE_ISA {

#if FLARE_BITS == 512
struct Lanes {
    __m512 v;
};
FLARE_INLINE Lanes load(const float* at) { return {_mm512_loadu_ps(at)}; }
FLARE_INLINE void store(float* at, Lanes a) { _mm512_storeu_ps(at, a.v); }
FLARE_INLINE void stream(float* at, Lanes a) { _mm512_stream_ps(at, a.v); }
FLARE_INLINE Lanes all(float value) { return {_mm512_set1_ps(value)}; }
FLARE_INLINE Lanes fused(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
FLARE_INLINE Lanes plus(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
FLARE_INLINE Lanes minus(Lanes a, Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
FLARE_INLINE Lanes leaky(Lanes a) {
    const __m512 low = a.v * _mm512_set1_ps(kSlope);
    return {a.v > low ? a.v : low};
}
constexpr int kVoxels = 8;  // voxels at once: 8 sums, 10 values and 3 weights of 32 registers
#else
struct Lanes {
    __m256 low, high;
};
FLARE_INLINE Lanes load(const float* at) { return {_mm256_loadu_ps(at), _mm256_loadu_ps(at + 8)}; }
FLARE_INLINE void store(float* at, Lanes a) { _mm256_storeu_ps(at, a.low), _mm256_storeu_ps(at + 8, a.high); }
FLARE_INLINE void stream(float* at, Lanes a) { _mm256_stream_ps(at, a.low), _mm256_stream_ps(at + 8, a.high); }
FLARE_INLINE Lanes all(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
FLARE_INLINE Lanes fused(Lanes a, Lanes b, Lanes c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
FLARE_INLINE Lanes plus(Lanes a, Lanes b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
FLARE_INLINE Lanes minus(Lanes a, Lanes b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
FLARE_INLINE Lanes leaky(Lanes a) {
    const __m256 slope = _mm256_set1_ps(kSlope);
    return {_mm256_max_ps(a.low, _mm256_mul_ps(a.low, slope)), _mm256_max_ps(a.high, _mm256_mul_ps(a.high, slope))};
}
constexpr int kVoxels = 4;
#endif

// Activates a row of a map: (voxels, channels) from `row` to voxels `pitch` floats apart.
inline void activate(const FeatureMap& map, const void* values, int64_t voxels, float* to, int64_t pitch) {
    const float* row = static_cast<const float*>(values);
    for (int64_t c = 0; c < map.channels; c += kLanes) {
        const Lanes scale = load(map.scale + c), shift = load(map.shift + c);
        for (int64_t x = 0; x < voxels; ++x) {
            const Lanes value = map.one_channel ? all(row[x]) : load(row + x * map.channels + c);
            store(to + x * pitch + c, leaky(fused(value, scale, shift)));
        }
    }
}

// kVoxels voxels of `in` channels, mixed to 16: sum over k of voxel[k] * weights[k].
FLARE_INLINE void mix(const float* voxels, int64_t in, const float* weights, Lanes start, Lanes* sums) {
    for (int i = 0; i < kVoxels; ++i) sums[i] = start;
    for (int64_t k = 0; k < in; ++k) {
        const Lanes weight = load(weights + k * kLanes);
#pragma GCC unroll 8
        for (int i = 0; i < kVoxels; ++i) sums[i] = fused(all(voxels[i * in + k]), weight, sums[i]);
    }
}

// One row of an upsampled map: `below` is the activated row (voxels, in), `kernel` (stride x, channels / 16, in, 16) of the row's
// place in the stride. kSpare voxels behind `below` may be read.
inline void upsample_row(const BlockSource<float>& source, const void* row, const float* kernel, float* below, float* to, int64_t pitch) {
    const Upsampling<float>& up = source.up;
    const int64_t voxels = source.map.size.x, in = source.map.channels;
    activate(source.map, row, voxels, below, in);
    for (int64_t c = 0; c < up.channels; c += kLanes) {
        for (int64_t dx = 0; dx < up.stride.x; ++dx) {
            const float* weights = kernel + (dx * up.channels + c) * in;
            for (int64_t x = 0; x < voxels; x += kVoxels) {
                Lanes sums[kVoxels];
                mix(below + x * in, in, weights, load(up.bias + c), sums);
                const int64_t count = voxels - x < kVoxels ? voxels - x : kVoxels;
                for (int64_t i = 0; i < count; ++i) store(to + ((x + i) * up.stride.x + dx) * pitch + c, sums[i]);
            }
        }
    }
}

// Depthwise 3^3 along one row: rows[3 * dz + dy] begin one voxel left of the row; (voxels, channels) results.
template <int kStride>
FLARE_INLINE void depthwise_row(const float* const* rows, const float* kernel, int64_t channels, int64_t voxels, float* to) {
    constexpr int kSpan = (kVoxels - 1) * kStride + 3;
    for (int64_t c = 0; c < channels; c += kLanes) {
        for (int64_t x = 0; x < voxels; x += kVoxels) {
            Lanes sums[kVoxels];
            for (int i = 0; i < kVoxels; ++i) sums[i] = all(0.0f);
            for (int tap = 0; tap < 9; ++tap) {
                const float* row = rows[tap] + x * kStride * channels + c;
                const float* weights = kernel + tap * 3 * channels + c;
                const Lanes left = load(weights), middle = load(weights + channels), right = load(weights + 2 * channels);
                Lanes values[kSpan];
#pragma GCC unroll 20
                for (int i = 0; i < kSpan; ++i) values[i] = load(row + i * channels);
#pragma GCC unroll 8
                for (int i = 0; i < kVoxels; ++i) {
                    sums[i] = fused(values[i * kStride], left, sums[i]);
                    sums[i] = fused(values[i * kStride + 1], middle, sums[i]);
                    sums[i] = fused(values[i * kStride + 2], right, sums[i]);
                }
            }
#pragma GCC unroll 8
            for (int i = 0; i < kVoxels; ++i) store(to + (x + i) * channels + c, sums[i]);
        }
    }
}

inline void depthwise(const float* const* rows, const float* kernel, int64_t channels, int64_t stride, int64_t voxels, float* to) {
    if (stride == 1) return depthwise_row<1>(rows, kernel, channels, voxels, to);
    depthwise_row<2>(rows, kernel, channels, voxels, to);
}

// Mixes a row's channels: (voxels, in) to (voxels, out), past the caches since other rows come before these are read again.
// `sums` (3, out): the row's first value, and the sums of what the others differ from it and of the squares of that, which
// cancel nothing where a map's mean is far from 0.
inline void pointwise(const float* voxels, int64_t in, const float* kernel, int64_t out, int64_t count, float* to, float* sums) {
    for (int64_t c = 0; c < out; c += kLanes) {
        Lanes first = all(0.0f), sum = first, squares = first;
        for (int64_t x = 0; x < count; x += kVoxels) {
            Lanes mixed[kVoxels];
            mix(voxels + x * in, in, kernel + c * in, all(0.0f), mixed);
            if (x == 0) first = mixed[0];
            const int64_t whole = count - x < kVoxels ? count - x : kVoxels;
            for (int64_t i = 0; i < whole; ++i) {
                const Lanes more = minus(mixed[i], first);
                sum = plus(sum, more);
                squares = fused(more, more, squares);
                stream(to + (x + i) * out + c, mixed[i]);
            }
        }
        store(sums + c, first);
        store(sums + out + c, sum);
        store(sums + 2 * out + c, squares);
    }
    _mm_sfence();  // streamed values are there for the threads that read them next
}

// Logits of a row, one plane of the result a logit.
inline void logits_row(const FeatureMap& map, const void* row, const float* kernel, const float* bias, int64_t logits, float* voxels,
                       float* to) {
    const int64_t in = map.channels, count = map.size.x, plane = map.size.voxels();
    activate(map, row, count, voxels, in);
    alignas(64) float block[kVoxels * kLanes];
    for (int64_t c = 0; c < logits; c += kLanes) {
        const int64_t here = logits - c < kLanes ? logits - c : kLanes;
        for (int64_t x = 0; x < count; x += kVoxels) {
            Lanes mixed[kVoxels];
            mix(voxels + x * in, in, kernel + c * in, load(bias + c), mixed);
            for (int i = 0; i < kVoxels; ++i) store(block + i * kLanes, mixed[i]);
            const int64_t whole = count - x < kVoxels ? count - x : kVoxels;
            for (int64_t k = 0; k < here; ++k) {
                float* at = to + (c + k) * plane + x;
                for (int64_t i = 0; i < whole; ++i) at[i] = block[i * kLanes + k];
            }
        }
    }
}

const RowLoops<float> kLoops{activate, upsample_row, depthwise, pointwise, logits_row};

}  // namespace FLARE_ISA
}  // namespace flare
