// From finished logits to labels on the source grid in one pass: linear interpolation, then the choice of a label.
#include "flare.cuh"

// The eight float16 neighbours of one target voxel and its three weights. The tap tables hold the z taps, then y, then x.
struct Stencil {
    size_t row[4];  // (z lower, y lower), (z lower, y upper), (z upper, y lower), (z upper, y upper)
    int lower_x, upper_x;
    float weight_z, weight_y, weight_x;
};

FLARE_DEVICE Stencil stencil_of(const Voxel& voxel, const int* __restrict__ lower, const int* __restrict__ upper,
                                const float* __restrict__ weight, int target_z, int target_y, int ring_y, int ring_x) {
    const int z = voxel.z, y = target_z + voxel.y, x = target_z + target_y + voxel.x;
    return Stencil{{voxel_offset(lower[z], lower[y], 0, ring_y, ring_x), voxel_offset(lower[z], upper[y], 0, ring_y, ring_x),
                    voxel_offset(upper[z], lower[y], 0, ring_y, ring_x), voxel_offset(upper[z], upper[y], 0, ring_y, ring_x)},
                   lower[x], upper[x], weight[z], weight[y], weight[x]};
}

FLARE_DEVICE float mix(float lower, float upper, float weight) {
    return __fadd_rn(lower, __fmul_rn(weight, __fsub_rn(upper, lower)));
}

// z first, then y, then x, each step rounded to float32; `in_half` rounds the result to float16, in which nnU-Net keeps logits.
FLARE_DEVICE float interpolated(const __half* __restrict__ channel, const Stencil& s, int in_half) {
    float column[2];
    for (int side = 0; side < 2; ++side) {
        const int x = side == 0 ? s.lower_x : s.upper_x;
        const float y_lower = mix(__half2float(channel[s.row[0] + x]), __half2float(channel[s.row[2] + x]), s.weight_z);
        const float y_upper = mix(__half2float(channel[s.row[1] + x]), __half2float(channel[s.row[3] + x]), s.weight_z);
        column[side] = mix(y_lower, y_upper, s.weight_y);
    }
    const float logit = mix(column[0], column[1], s.weight_x);
    return in_half ? __half2float(__float2half_rn(logit)) : logit;
}

// values[c] of the first largest channel c.
template <class Label>
FLARE_DEVICE void write_largest(const __half* __restrict__ ring, const int* __restrict__ lower, const int* __restrict__ upper,
                                const float* __restrict__ weight, const Label* __restrict__ values, Label* __restrict__ labels, int channels, int ring_z,
                                int ring_y, int ring_x, int target_z, int target_y, int target_x, int in_half) {
    const Voxel voxel = this_voxel();
    if (!inside(voxel, target_z, target_y, target_x)) return;
    const Stencil stencil = stencil_of(voxel, lower, upper, weight, target_z, target_y, ring_y, ring_x);
    float best = __uint_as_float(0xff800000u);  // -infinity
    int chosen = 0;
    for (int c = 0; c < channels; ++c) {
        const float logit = interpolated(ring + c * (size_t)ring_z * ring_y * ring_x, stencil, in_half);
        if (logit > best) {
            best = logit;
            chosen = c;
        }
    }
    labels[voxel_offset(voxel.z, voxel.y, voxel.x, target_y, target_x)] = values[chosen];
}

// values[c] of the last channel c whose logit is > 0, else 0.
template <class Label>
FLARE_DEVICE void write_last_region(const __half* __restrict__ ring, const int* __restrict__ lower, const int* __restrict__ upper,
                                    const float* __restrict__ weight, const Label* __restrict__ values, Label* __restrict__ labels, int channels, int ring_z,
                                    int ring_y, int ring_x, int target_z, int target_y, int target_x, int in_half) {
    const Voxel voxel = this_voxel();
    if (!inside(voxel, target_z, target_y, target_x)) return;
    const Stencil stencil = stencil_of(voxel, lower, upper, weight, target_z, target_y, ring_y, ring_x);
    Label label = 0;
    for (int c = 0; c < channels; ++c) {
        if (interpolated(ring + c * (size_t)ring_z * ring_y * ring_x, stencil, in_half) > 0.f) label = values[c];
    }
    labels[voxel_offset(voxel.z, voxel.y, voxel.x, target_y, target_x)] = label;
}

FLARE_KERNEL(restore_argmax_uint8, const __half* __restrict__ ring, const int* __restrict__ lower, const int* __restrict__ upper,
             const float* __restrict__ weight, const unsigned char* __restrict__ values, unsigned char* __restrict__ labels, int channels, int ring_z,
             int ring_y, int ring_x, int target_z, int target_y, int target_x, int in_half) {
    write_largest(ring, lower, upper, weight, values, labels, channels, ring_z, ring_y, ring_x, target_z, target_y, target_x, in_half);
}

FLARE_KERNEL(restore_argmax_uint16, const __half* __restrict__ ring, const int* __restrict__ lower, const int* __restrict__ upper,
             const float* __restrict__ weight, const unsigned short* __restrict__ values, unsigned short* __restrict__ labels, int channels, int ring_z,
             int ring_y, int ring_x, int target_z, int target_y, int target_x, int in_half) {
    write_largest(ring, lower, upper, weight, values, labels, channels, ring_z, ring_y, ring_x, target_z, target_y, target_x, in_half);
}

FLARE_KERNEL(restore_regions_uint8, const __half* __restrict__ ring, const int* __restrict__ lower, const int* __restrict__ upper,
             const float* __restrict__ weight, const unsigned char* __restrict__ values, unsigned char* __restrict__ labels, int channels, int ring_z,
             int ring_y, int ring_x, int target_z, int target_y, int target_x, int in_half) {
    write_last_region(ring, lower, upper, weight, values, labels, channels, ring_z, ring_y, ring_x, target_z, target_y, target_x, in_half);
}

FLARE_KERNEL(restore_regions_uint16, const __half* __restrict__ ring, const int* __restrict__ lower, const int* __restrict__ upper,
             const float* __restrict__ weight, const unsigned short* __restrict__ values, unsigned short* __restrict__ labels, int channels, int ring_z,
             int ring_y, int ring_x, int target_z, int target_y, int target_x, int in_half) {
    write_last_region(ring, lower, upper, weight, values, labels, channels, ring_z, ring_y, ring_x, target_z, target_y, target_x, in_half);
}
