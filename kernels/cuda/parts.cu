// The two ends of component labelling, which cuts one label's box out of a label map and puts its components back, and what is
// done with components: their boxes and sizes, and the removal of some.
// select_label and place_components run one thread a voxel of a box whose corner is (corner_z, corner_y, corner_x) in the map.
#include "flare.cuh"

template <class Label>
FLARE_DEVICE void cut_label(const Label* __restrict__ labels, unsigned char* __restrict__ mask, int label, int map_y, int map_x,
                            int box_z, int box_y, int box_x, int corner_z, int corner_y, int corner_x) {
    const Voxel voxel = this_voxel();
    if (!inside(voxel, box_z, box_y, box_x)) return;
    const size_t from = voxel_offset(corner_z + voxel.z, corner_y + voxel.y, corner_x + voxel.x, map_y, map_x);
    mask[voxel_offset(voxel.z, voxel.y, voxel.x, box_y, box_x)] = labels[from] == label;
}

FLARE_KERNEL(select_label_uint8, const unsigned char* __restrict__ labels, unsigned char* __restrict__ mask, int label, int map_y,
             int map_x, int box_z, int box_y, int box_x, int corner_z, int corner_y, int corner_x) {
    cut_label(labels, mask, label, map_y, map_x, box_z, box_y, box_x, corner_z, corner_y, corner_x);
}

FLARE_KERNEL(select_label_uint16, const unsigned short* __restrict__ labels, unsigned char* __restrict__ mask, int label, int map_y,
             int map_x, int box_z, int box_y, int box_x, int corner_z, int corner_y, int corner_x) {
    cut_label(labels, mask, label, map_y, map_x, box_z, box_y, box_x, corner_z, corner_y, corner_x);
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

// Box (highest inclusive) and voxels of the components below `count`, and the highest number of all. `extents` (count, 6) starts as
// {INT_MAX x 3, -1 x 3} a row, `voxels` (count) and `highest` (1) as 0.
FLARE_KERNEL(piece_bounds, const int* __restrict__ components, int* __restrict__ extents, unsigned long long* __restrict__ voxels,
             int* __restrict__ highest, int count, int size_z, int size_y, int size_x) {
    const Voxel voxel = this_voxel();
    if (!inside(voxel, size_z, size_y, size_x)) return;
    const int piece = components[voxel_offset(voxel.z, voxel.y, voxel.x, size_y, size_x)];
    if (piece == 0) return;
    atomicMax(highest, piece);
    if (piece >= count) return;
    int* row = &extents[(size_t)piece * 6];
    atomicMin(&row[0], voxel.z);
    atomicMin(&row[1], voxel.y);
    atomicMin(&row[2], voxel.x);
    atomicMax(&row[3], voxel.z);
    atomicMax(&row[4], voxel.y);
    atomicMax(&row[5], voxel.x);
    atomicAdd(&voxels[piece], 1ULL);
}

// Labels of components 0 < k < pieces whose kept[k] is 0 become 0.
template <class Label>
FLARE_DEVICE void drop_pieces(Label* __restrict__ labels, const int* __restrict__ components,
                              const unsigned char* __restrict__ kept, int pieces, unsigned long long count) {
    const size_t element = this_element();
    if (element >= count) return;
    const int piece = components[element];
    if (piece > 0 && piece < pieces && kept[piece] == 0) labels[element] = 0;
}

FLARE_KERNEL(keep_pieces_uint8, unsigned char* __restrict__ labels, const int* __restrict__ components,
             const unsigned char* __restrict__ kept, int pieces, unsigned long long count) {
    drop_pieces(labels, components, kept, pieces, count);
}

FLARE_KERNEL(keep_pieces_uint16, unsigned short* __restrict__ labels, const int* __restrict__ components,
             const unsigned char* __restrict__ kept, int pieces, unsigned long long count) {
    drop_pieces(labels, components, kept, pieces, count);
}

// 1 where the label is chosen, else 0.
template <class Label>
FLARE_DEVICE void mark_chosen(const Label* __restrict__ labels, const unsigned char* __restrict__ chosen,
                              unsigned char* __restrict__ mask, unsigned long long count) {
    const size_t element = this_element();
    if (element < count) mask[element] = chosen[labels[element]];
}

FLARE_KERNEL(select_labels_uint8, const unsigned char* __restrict__ labels, const unsigned char* __restrict__ chosen,
             unsigned char* __restrict__ mask, unsigned long long count) {
    mark_chosen(labels, chosen, mask, count);
}

FLARE_KERNEL(select_labels_uint16, const unsigned short* __restrict__ labels, const unsigned char* __restrict__ chosen,
             unsigned char* __restrict__ mask, unsigned long long count) {
    mark_chosen(labels, chosen, mask, count);
}
