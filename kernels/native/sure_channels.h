// The channel that wins at a voxel of the network grid so clearly that it also wins in every cell between such voxels.
#pragma once

#include <cstdint>
#include <vector>

#include "blend.h"
#include "restore.h"

namespace flare {

constexpr uint8_t kNoChannel = 254;  // a region net's background
constexpr uint8_t kUnsure = 255;     // the voxel's cells need a comparison of all channels

// One thread's scratch for rows of `columns` voxels.
class SureChannels {
 public:
    explicit SureChannels(int64_t columns);

    // Writes a channel, kNoChannel or kUnsure for each voxel of a row of a ring's plane.
    void find(const RingView& ring, Choice choice, int64_t plane, int64_t row, uint8_t* channels);

 private:
    void find_largest(const RingView& ring, const Half* first_channel, uint8_t* channels);
    void find_positive(const RingView& ring, const Half* first_channel, uint8_t* channels);

    std::vector<float> logits_, best_, second_;
    std::vector<int32_t> channel_;
};

}  // namespace flare
