// Blocks of a U-Net of depthwise-separable convolutions: activate what was normalised, convolve 3^3 depthwise, mix channels,
// and sum up for the next norm, in one pass over strips of rows that stay in the cache.
//
// Results begin where a line of the cache does (64 bytes). Feature maps are float32 (z, y, x, channels), channels a multiple of 16. A map is stored as its convolution gave it, without
// biases, which an instance norm takes away; whoever reads it applies norm and leaky ReLU: activated = lrelu(value * scale + shift).
#pragma once

#include <cstdint>
#include <vector>

namespace flare {

constexpr int64_t kLanes = 16;  // channels that are worked on at once

struct Extent {
    int64_t z, y, x;
    int64_t voxels() const { return z * y * x; }
};

// A map that is read. With `one_channel` its values are (z, y, x), and scale and shift make `channels` of each.
struct FeatureMap {
    const float* values;
    const float* scale;  // (channels)
    const float* shift;  // (channels)
    Extent size;
    int64_t channels;
    bool one_channel;

    int64_t stored() const { return one_channel ? 1 : channels; }  // values of a voxel
};

// A transposed convolution whose kernel is as large as its stride: each voxel becomes stride.voxels() ones.
struct Upsampling {
    const float* kernel;  // (stride z, y, x, channels / 16, channels of the map, 16)
    const float* bias;    // (channels)
    Extent stride;
    int64_t channels;
};

// What a block reads: a map, or a map that is upsampled first (kernel is not null then).
struct BlockSource {
    FeatureMap map;
    Upsampling up;

    int64_t channels() const { return up.kernel ? up.channels : map.channels; }
    Extent size() const {
        if (!up.kernel) return map.size;
        return {map.size.z * up.stride.z, map.size.y * up.stride.y, map.size.x * up.stride.x};
    }
};

struct Block {
    std::vector<BlockSource> sources;  // of one size; their channels stand one behind the other
    const float* depthwise;            // (3, 3, 3, channels)
    const float* pointwise;            // (out / 16, channels, 16)
    int64_t out;                       // channels of the result
    Extent stride;                     // 1 or 2 along each axis

    int64_t channels() const;
    Extent size() const { return sources[0].size(); }
    Extent result() const;  // padding of 1: sizes divided by the stride, rounded up
};

// Writes the result (z, y, x, out), and per channel the sum of values and of squares (2, out).
void separable_block(const Block& block, float* result, double* sums);

// The first convolution, 3^3 over one channel (z, y, x): the result, its sum and its sum of squares.
void first_convolution(const float* image, const float* kernel, const Extent& size, float* result, double* sums);

// The last one, 1^3: logits (count, z, y, x); `kernel` is (blocks of 16 logits, channels, 16), `bias` (blocks of 16 logits).
void last_convolution(const FeatureMap& map, const float* kernel, const float* bias, int64_t count, float* logits);

// The widest registers that the processor has and this knows: 512, 256, or 0 where it cannot run.
int separable_register_bits();

// Takes narrower ones from now on; 0 takes the widest again. For tests and measurements.
void limit_separable_register_bits(int bits);

}  // namespace flare
