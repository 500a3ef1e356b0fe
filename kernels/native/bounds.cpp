#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "boxes.h"
#include "threads.h"

namespace flare {

namespace {

using Table = std::vector<LabelBounds>;

// First voxel after x that differs from row[x], eight bytes compared at a time.
template <class Label>
int64_t end_of_run(const Label* row, int64_t x, int64_t columns) {
    const Label label = row[x];
    constexpr uint64_t kRepeat = sizeof(Label) == 1 ? 0x0101010101010101u : sizeof(Label) == 2 ? 0x0001000100010001u : 0x0000000100000001u;
    const uint64_t repeated = label * kRepeat;
    constexpr int64_t kTogether = 8 / sizeof(Label);
    for (uint64_t eight; x + kTogether <= columns; x += kTogether) {
        std::memcpy(&eight, row + x, sizeof eight);
        if (eight != repeated) break;
    }
    while (x < columns && row[x] == label) ++x;
    return x;
}

template <class Label>
void include_row(const Label* row, int64_t z, int64_t y, int64_t columns, Table& table) {
    for (int64_t x = 0, stop; x < columns; x = stop) {
        stop = end_of_run(row, x, columns);
        LabelBounds& label = table[row[x]];
        label.box.include(0, z, z + 1);
        label.box.include(1, y, y + 1);
        label.box.include(2, x, stop);
        label.voxels += stop - x;
    }
}

}  // namespace

template <class Label>
void bounds(const Label* labels, const Shape& shape, LabelBounds* table) {
    const Team team;
    constexpr int kLabels = 1 << 8 * sizeof(Label);
    std::vector<Table> tables(team.size(), Table(kLabels));
    team.run(shape.planes, [&](int64_t z, int thread) {
        for (int64_t y = 0; y < shape.rows; ++y) {
            include_row(labels + (z * shape.rows + y) * shape.columns, z, y, shape.columns, tables[thread]);
        }
    });
    for (const Table& part : tables) {
        for (int label = 0; label < kLabels; ++label) {
            table[label].box.include(part[label].box);
            table[label].voxels += part[label].voxels;
        }
    }
}

std::vector<LabelBounds> piece_bounds(const uint32_t* pieces, const Shape& shape) {
    const int64_t voxels = shape.size();
    uint32_t most = 0;
    for (int64_t i = 0; i < voxels; ++i) most = std::max(most, pieces[i]);
    if (most > voxels) throw std::invalid_argument("components: got a number above that of all voxels, expected 1..n");
    Table table(static_cast<int64_t>(most) + 1);
    for (int64_t row = 0; row < shape.planes * shape.rows; ++row) {
        include_row(pieces + row * shape.columns, row / shape.rows, row % shape.rows, shape.columns, table);
    }
    table[0] = {};
    return table;
}

template void bounds<uint8_t>(const uint8_t* labels, const Shape& shape, LabelBounds* table);
template void bounds<uint16_t>(const uint16_t* labels, const Shape& shape, LabelBounds* table);

}  // namespace flare
