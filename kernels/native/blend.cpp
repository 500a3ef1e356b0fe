#include "blend.h"

#include <algorithm>

#include "simd.h"
#include "threads.h"

namespace flare {

namespace {

constexpr int64_t kBlock = 512;  // halves that are widened at once: three such float buffers stay in the first cache

FLARE_CLONES void add_product(float* sum, const float* a, const float* b, int64_t count) {
    for (int64_t i = 0; i < count; ++i) sum[i] += a[i] * b[i];
}

FLARE_CLONES void add(float* sum, const float* a, int64_t count) {
    for (int64_t i = 0; i < count; ++i) sum[i] += a[i];
}

FLARE_CLONES void divide(float* quotient, const float* divisor, int64_t count) {
    for (int64_t i = 0; i < count; ++i) quotient[i] /= divisor[i];
}

FLARE_CLONES void divide(float* quotient, float divisor, int64_t count) {
    for (int64_t i = 0; i < count; ++i) quotient[i] /= divisor;
}

// target = to_half(change(to_float(target))), block by block; change(floats, offset, count) works in place.
template <class Change>
void update(Half* target, int64_t count, const Change& change) {
    float floats[kBlock];
    for (int64_t offset = 0; offset < count; offset += kBlock) {
        const int64_t length = std::min(kBlock, count - offset);
        widen(target + offset, floats, length);
        change(floats, offset, length);
        narrow(floats, target + offset, length);
    }
}

void blend_plane(const Ring& ring, const Ring& weights, const Tile& tile, int64_t dz, float* gaussian) {
    const int64_t size = tile.rows * tile.columns;
    widen(tile.gaussian + dz * size, gaussian, size);
    for (int64_t y = 0; y < tile.rows; ++y) {
        Half* row = weights.plane(0, tile.z + dz) + (tile.y + y) * ring.columns + tile.x;
        const float* weight = gaussian + y * tile.columns;
        update(row, tile.columns, [&](float* sum, int64_t at, int64_t count) { add(sum, weight + at, count); });
    }
    for (int64_t c = 0; c < ring.channels; ++c) {
        const float* logits = tile.logits + (c * tile.planes + dz) * size;
        for (int64_t y = 0; y < tile.rows; ++y) {
            Half* row = ring.plane(c, tile.z + dz) + (tile.y + y) * ring.columns + tile.x;
            const int64_t first = y * tile.columns;
            update(row, tile.columns, [&](float* sum, int64_t at, int64_t count) {
                add_product(sum, logits + first + at, gaussian + first + at, count);
            });
        }
    }
}

}  // namespace

void blend(const Ring& ring, const Ring& weights, const Tile& tile) {
    const Team team;
    PerThread<float> gaussian(team, tile.rows * tile.columns);
    team.run(tile.planes, [&](int64_t dz, int thread) { blend_plane(ring, weights, tile, dz, gaussian[thread]); });
}

void finish(const Ring& ring, const Ring& weights, int64_t start, int64_t stop) {
    const Team team;
    PerThread<float> divisor(team, ring.plane_size());
    team.run(stop - start, [&](int64_t index, int thread) {
        float* weight = divisor[thread];
        widen(weights.plane(0, start + index), weight, ring.plane_size());
        for (int64_t c = 0; c < ring.channels; ++c) {
            update(ring.plane(c, start + index), ring.plane_size(),
                   [&](float* logit, int64_t at, int64_t count) { divide(logit, weight + at, count); });
        }
    });
}

void average(const std::vector<Ring>& rings, int64_t start, int64_t stop) {
    const Ring& sum = rings[0];
    const float folds = static_cast<float>(rings.size());
    const Team team;
    team.run((stop - start) * sum.channels, [&](int64_t index, int) {
        const int64_t c = index / (stop - start), z = start + index % (stop - start);
        for (size_t fold = 1; fold < rings.size(); ++fold) {
            const Half* other = rings[fold].plane(c, z);
            update(sum.plane(c, z), sum.plane_size(), [&](float* logit, int64_t at, int64_t count) {
                float floats[kBlock];
                widen(other + at, floats, count);
                add(logit, floats, count);
            });
        }
        update(sum.plane(c, z), sum.plane_size(),
               [&](float* logit, int64_t, int64_t count) { divide(logit, folds, count); });
    });
}

void clear(const Ring& ring, int64_t start, int64_t stop) {
    const Team team;
    team.run((stop - start) * ring.channels, [&](int64_t index, int) {
        Half* plane = ring.plane(index / (stop - start), start + index % (stop - start));
        std::fill(plane, plane + ring.plane_size(), Half{0});
    });
}

}  // namespace flare
