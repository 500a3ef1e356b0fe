// Blocks of a U-Net of depthwise-separable convolutions: activate what was normalised, convolve 3^3 depthwise, mix channels,
// and sum up for the next norm, in one pass over strips of rows that stay in the cache.
//
// Results begin where a line of the cache does (64 bytes). Feature maps are (z, y, x, channels), channels a multiple of 16. A map is stored as its convolution gave it, without
// biases, which an instance norm takes away; whoever reads it applies norm and leaky ReLU: activated = lrelu(value * scale + shift).
//
// T is what maps and kernels are stored in. float: they lie as written here. Bf16: two values that are multiplied and summed by one
// instruction lie side by side, so a map is (z, y, x / 2, channels / 16, 16, 2) where x is rounded up to an even number, and kernels
// are as given below. Tiled: bfloat16 too, for processors with AMX; rows of one channel lie behind one another, (z, y, channels, x)
// where x is rounded up to a multiple of 32. Sums, norms and logits are float either way.
#pragma once

#include <cstdint>
#include <vector>

namespace flare {

constexpr int64_t kLanes = 16;  // channels that are worked on at once

using Bf16 = uint16_t;  // the upper half of a float

struct Tiled {
    Bf16 value;
};

// Voxels along x that are stored side by side.
template <class T>
constexpr int64_t kTogether = sizeof(float) / sizeof(T);
template <>
inline constexpr int64_t kTogether<Tiled> = 32;

struct Extent {
    int64_t z, y, x;
    int64_t voxels() const { return z * y * x; }
};

// Voxels that a row takes, where its last ones have neighbours.
template <class T>
constexpr int64_t whole(int64_t voxels) {
    return (voxels + kTogether<T> - 1) / kTogether<T> * kTogether<T>;
}

// A map that is read. With `one_channel` its values are float (z, y, x), and scale and shift make `channels` of each.
struct FeatureMap {
    const void* values;  // T, or float with `one_channel`
    const float* scale;  // (channels)
    const float* shift;  // (channels)
    Extent size;
    int64_t channels;
    bool one_channel;

    template <class T>
    const void* row(int64_t z, int64_t y) const {
        const int64_t rows = z * size.y + y;
        if (one_channel) return static_cast<const float*>(values) + rows * size.x;
        return static_cast<const T*>(values) + rows * whole<T>(size.x) * channels;
    }
};

// A transposed convolution whose kernel is as large as its stride: each voxel becomes stride.voxels() ones.
template <class T>
struct Upsampling {
    // (stride z, y, x, channels / 16, channels of the map, 16); Bf16: (.., channels of the map / 2, 16, 2);
    // Tiled: (stride z, y, x, channels, channels of the map rounded up to a multiple of 32)
    const T* kernel;
    const float* bias;  // (channels)
    Extent stride;
    int64_t channels;
};

// What a block reads: a map, or a map that is upsampled first (kernel is not null then).
template <class T>
struct BlockSource {
    FeatureMap map;
    Upsampling<T> up;

    int64_t channels() const { return up.kernel ? up.channels : map.channels; }
    Extent size() const {
        if (!up.kernel) return map.size;
        return {map.size.z * up.stride.z, map.size.y * up.stride.y, map.size.x * up.stride.x};
    }
};

template <class T>
struct Block {
    std::vector<BlockSource<T>> sources;  // of one size; their channels stand one behind the other
    const T* depthwise;                   // (3, 3, 3, channels); Bf16 and Tiled: see separable_bf16_loops.h and separable_tile_rows.h
    const T* pointwise;                   // (out / 16, channels, 16); Bf16: (out / 16, channels / 2, 16, 2); Tiled: (out, channels as above)
    int64_t out;                          // channels of the result
    Extent stride;                        // 1 or 2 along each axis

    int64_t channels() const;
    Extent size() const { return sources[0].size(); }
    Extent result() const;  // padding of 1: sizes divided by the stride, rounded up
};

// Writes the result (z, y, x, out), and per channel the sum of values and of squares (2, out).
template <class T>
void separable_block(const Block<T>& block, T* result, double* sums);

// The first convolution, 3^3 over one channel (z, y, x): the result, its sum and its sum of squares.
void first_convolution(const float* image, const float* kernel, const Extent& size, float* result, double* sums);

// The last one, 1^3: logits (count, z, y, x); `kernel` is (blocks of 16 logits, channels, 16), `bias` (blocks of 16 logits).
// Bf16: the kernel is (count, channels); Tiled: (blocks of 16 logits, 16, channels as above).
template <class T>
void last_convolution(const FeatureMap& map, const T* kernel, const float* bias, int64_t count, float* logits);

template <>
void separable_block(const Block<Tiled>& block, Tiled* result, double* sums);
template <>
void last_convolution(const FeatureMap& map, const Tiled* kernel, const float* bias, int64_t count, float* logits);

// The widest registers that the processor has and this knows: 512, 256, or 0 where it cannot run.
int separable_register_bits();

// Whether the processor multiplies and sums pairs of Bf16: without, only float can run.
bool separable_bf16();

// Whether the processor multiplies tiles of such values (AMX_BF16) and the system lets this process do so: without, Tiled cannot run.
// To be asked before it does.
bool separable_tiles();

// Takes narrower ones from now on; 0 takes the widest again. For tests and measurements.
void limit_separable_register_bits(int bits);

}  // namespace flare
