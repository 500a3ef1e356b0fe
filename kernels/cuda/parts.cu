// The two ends of component labelling, which cuts one label's box out of a label map and puts its components back.
// Each kernel runs one thread a voxel of a box whose corner is (corner_z, corner_y, corner_x) in the map.
#include "flare.cuh"

FLARE_KERNEL(select_label, const unsigned char* __restrict__ labels, unsigned char* __restrict__ mask, int label, int map_y,
             int map_x, int box_z, int box_y, int box_x, int corner_z, int corner_y, int corner_x) {
    const Voxel voxel = this_voxel();
    if (!inside(voxel, box_z, box_y, box_x)) return;
    const size_t from = voxel_offset(corner_z + voxel.z, corner_y + voxel.y, corner_x + voxel.x, map_y, map_x);
    mask[voxel_offset(voxel.z, voxel.y, voxel.x, box_y, box_x)] = labels[from] == label;
}

// Component k of the box becomes component k + found of the map; where the box has none, the map stays.
FLARE_KERNEL(place_components, const int* __restrict__ parts, int* __restrict__ components, int found, int map_y, int map_x,
             int box_z, int box_y, int box_x, int corner_z, int corner_y, int corner_x) {
    const Voxel voxel = this_voxel();
    if (!inside(voxel, box_z, box_y, box_x)) return;
    const int part = parts[voxel_offset(voxel.z, voxel.y, voxel.x, box_y, box_x)];
    if (part == 0) return;
    components[voxel_offset(corner_z + voxel.z, corner_y + voxel.y, corner_x + voxel.x, map_y, map_x)] = part + found;
}
