// Scans and labels as itk::Image. Needs ITK 5, which the host program brings; no other header of flare-trt does.
#pragma once

#include <itkImage.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "../flare_trt.hpp"

namespace flare_trt {

using LabelImage = itk::Image<std::uint8_t, 3>;

struct ItkSegmentation {
    LabelImage::Pointer labels;
    std::string report_json;
};

// The scan in an image's buffer, which is not copied; `image` has to live as long as the result is used. Throws InputError
// for an image of which only a part is in memory.
template <class Voxel>
Scan<Voxel> scan_of(const itk::Image<Voxel, 3>& image) {
    const auto region = image.GetLargestPossibleRegion();
    if (image.GetBufferedRegion() != region) {
        throw InputError("image: only a part of it is in memory, expected the whole; call Update() or UpdateLargestPossibleRegion()");
    }
    Grid grid;
    // ITK's origin is that of index (0, 0, 0), which a cropped image does not hold.
    const auto first = image.template TransformIndexToPhysicalPoint<double>(region.GetIndex());
    for (unsigned axis = 0; axis < 3; ++axis) {
        grid.size_xyz[axis] = static_cast<std::int64_t>(region.GetSize(axis));
        grid.spacing_xyz_mm[axis] = image.GetSpacing()[axis];
        grid.origin_xyz_mm[axis] = first[axis];
        for (unsigned world = 0; world < 3; ++world) grid.direction[world][axis] = image.GetDirection()(world, axis);
    }
    return Scan<Voxel>(image.GetBufferPointer(), grid);
}

// Labels as a new image with the scan's region, origin, spacing and direction. Throws what Segmenter::segment_into throws.
template <class Voxel>
ItkSegmentation segment(const Segmenter& segmenter, const itk::Image<Voxel, 3>& image) {
    const Scan<Voxel> scan = scan_of(image);
    const LabelImage::Pointer labels = LabelImage::New();
    labels->CopyInformation(&image);
    labels->SetRegions(image.GetLargestPossibleRegion());
    labels->Allocate();
    return {labels, segmenter.segment_into(scan, labels->GetBufferPointer(), scan.grid.voxels())};
}

}  // namespace flare_trt
