// The loops of separable_tile_loops.h behind a table, so that the processor is asked at run time, and what they read and write.
//
// Rows of one channel, (x), lie behind one another, so that 16 or 32 voxels of a channel are a row of a tile:
//
// - The activated window has each row twice, copies that begin at voxel -1 and at voxel 1. Eight rows of 32 voxels are a tile then,
//   whose 16 columns see the voxels 2n - 1 to 2n + 2: all that a depthwise kernel needs for voxels 2n and 2n + 1 of six rows.
// - The mixing reads `halves`: (channels / 2, 32 voxels, 2, 16, 2), where 32 voxels are 16 even and 16 odd ones, or the first and
//   the last 16; channels rounded up to a multiple of 32.
#pragma once

#include "separable.h"

namespace flare {

constexpr int64_t kPaired = 32;      // channels of a tile of halves
constexpr int64_t kWindowRows = 8;   // of one channel that a tile holds twice
constexpr int64_t kWindowPlanes = 4;

constexpr int64_t rounded_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// Rows of the result that one set of tiles gives.
constexpr int64_t group_of(int64_t stride_y) { return (kWindowRows - 3) / stride_y + 1; }

// A row of the window: channel 0's first 32 voxels. A plane of it is (channels, blocks of 32 voxels, rows, 2, 32).
struct WindowRow {
    Tiled* at;
    int64_t rows, blocks;

    Tiled* block(int64_t index) const { return at + index * rows * 64; }
    WindowRow from_channel(int64_t c) const { return {block(c * blocks), rows, blocks}; }
};

struct TileDepthwise {
    const Tiled* kernel;  // (channels, 3, rows of the result, 8, 2, 2)
    int64_t channels;
    Extent stride;
    int64_t blocks;  // of 32 voxels of the result's rows
    int64_t rows() const { return group_of(stride.y) * (stride.x == 1 ? 2 : 1); }
    int64_t row_halves() const { return 2 * blocks * rounded_up(channels, kPaired) * kLanes; }
    int64_t scratch() const { return 4 * blocks * stride.x * rows() * kLanes; }
};

// Mixes the channels of `rows` rows of `voxels` voxels.
struct TilePointwise {
    const Tiled* kernel;  // (out, channels rounded up to 32)
    int64_t channels, out, rows, voxels;
    bool interleaved;  // halves are even and odd voxels
};

struct TileLoops {
    // A thread's tiles, before all others; `rows` as TileDepthwise has them, any where none is convolved.
    void (*set_up)(int64_t rows);
    // A row of the window, of zeros or of a map, activated.
    void (*clear)(int64_t channels, WindowRow to);
    void (*activate)(const FeatureMap&, const void* row, WindowRow to);
    // Activates a row of a map into halves.
    void (*activate_halves)(const FeatureMap&, const void* row, Tiled* to);
    // Upsamples a row of halves into the window; `kernel` (stride x, channels, in) is that of the row's place in the stride.
    // `mixed` is scratch, 16 floats a voxel.
    void (*upsample_row)(const BlockSource<Tiled>&, const Tiled* halves, const Tiled* kernel, float* mixed, WindowRow to);
    // A group of rows of `count` planes, 1 or 2, from count + 2 planes of the window, given as the first of their eight rows; `to`:
    // (count, group, halves). `sums` is scratch.
    void (*depthwise)(const TileDepthwise&, const WindowRow* planes, int64_t count, float* sums, Tiled* to);
    // Writes rows of the result and `sums` (3, out) over all of them, as in separable_loops.h. `mixed` is scratch again.
    void (*pointwise)(const TilePointwise&, const Tiled* halves, float* mixed, Tiled* to, float* sums);
    // Logits of a row of halves, one plane of the result a logit. `mixed` is scratch, 16 floats a voxel.
    void (*logits_row)(const FeatureMap&, const Tiled* halves, const Tiled* kernel, const float* bias, int64_t logits,
                       float* mixed, float* to);
    // After all others: results are there for the threads that read them next.
    void (*release)();
};

const TileLoops* loops_of_tiles();  // null where the compiler does not know them

}  // namespace flare
