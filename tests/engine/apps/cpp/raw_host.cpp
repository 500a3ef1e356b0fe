// A C++ program without ITK: raw_host TASK BUNDLE BACKEND CT NX NY NZ LABELS. CT holds int16 voxels, x fastest; labels are
// written to LABELS in the same way. Prints what the tests read.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <typeinfo>
#include <vector>

#include <flare_trt.hpp>

namespace {

using flare_trt::Scan;
using flare_trt::Segmenter;
using Voxels = std::vector<std::int16_t>;

struct Case {
    std::string bundle, labels;
    flare_trt::Options options;
    flare_trt::Grid grid;
    Voxels voxels;
};

void require(bool holds, const char* what) {
    if (holds) return;
    std::cerr << "not so: " << what << "\n";
    std::exit(1);
}

Case case_of(char** words) {
    Case made{words[2], words[8], {}, {}, {}};
    made.options.backend = words[3];
    made.options.device = "cpu";
    made.grid = {{std::stoll(words[5]), std::stoll(words[6]), std::stoll(words[7])}, {1.5, 1.75, 2.5}, {-20.5, 30, 7}, {}};
    made.grid.direction = {{{-1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    made.voxels.resize(made.grid.voxels());
    std::ifstream(words[4], std::ios::binary)
        .read(reinterpret_cast<char*>(made.voxels.data()), static_cast<std::streamsize>(made.voxels.size() * sizeof(std::int16_t)));
    return made;
}

// Where NumPy looks for the scan that it was handed.
template <class Voxel>
const void* address_seen(const Scan<Voxel>& scan) {
    return flare_trt::detail::with_python([&] {
        const pybind11::array seen = flare_trt::detail::python_volume(scan).attr("array");
        require(!seen.writeable(), "the engine may only read the scan");
        return seen.data();
    });
}

void segment(const Case& made) {
    const Segmenter segmenter(made.bundle, made.options);
    const Scan scan(made.voxels.data(), made.grid);
    auto found = segmenter.segment(scan);
    std::vector<std::uint8_t> own(made.voxels.size(), 99);
    require(segmenter.segment_into(scan, own.data(), own.size()) != "", "a report comes back");
    require(std::equal(own.begin(), own.end(), found.labels.data()), "both ways give the same labels");
    const std::vector<float> real(made.voxels.begin(), made.voxels.end());
    const Scan same(real.data(), made.grid);
    const auto again = segmenter.segment(same).labels;
    require(std::equal(own.begin(), own.end(), again.data()), "float voxels give the same labels");
    require(address_seen(scan) == made.voxels.data() && address_seen(same) == real.data(), "no scan was copied");
    std::ofstream(made.labels, std::ios::binary).write(reinterpret_cast<const char*>(own.data()), static_cast<std::streamsize>(own.size()));
    for (const auto& [value, name] : segmenter.label_names()) std::cout << value << " " << name << "\n";
    std::cout << found.report_json << "\n";
}

// Threads that C++ started share a segmenter, drop results and open another model, while the main thread has no GIL either.
void threads(const Case& made) {
    const Segmenter segmenter(made.bundle, made.options);
    constexpr int kThreads = 5;
    std::vector<Voxels> scans(kThreads, made.voxels);
    std::vector<std::vector<std::uint8_t>> alone(kThreads), together(kThreads);
    const auto run = [&](int index, std::vector<std::uint8_t>& labels, const Segmenter& model) {
        const auto found = model.segment(Scan(scans[index].data(), made.grid)).labels;
        labels.assign(found.data(), found.data() + found.size());
    };
    for (int index = 0; index < kThreads; ++index) {
        for (auto& voxel : scans[index]) voxel = static_cast<std::int16_t>(voxel + 40 * index);
        run(index, alone[index], segmenter);
    }
    std::vector<std::thread> workers;
    for (int index = 0; index < kThreads; ++index) {
        workers.emplace_back([&, index] { run(index, together[index], index % 2 ? Segmenter(made.bundle, made.options) : segmenter); });
    }
    for (auto& worker : workers) worker.join();
    require(alone == together, "threads give the labels of one thread");
    require(alone[0] != alone[1], "the scans differ");
    std::cout << "threads agree\n";
}

template <class Expected>
void expect(const char* name, const std::function<void()>& work) {
    try {
        work();
    } catch (const flare_trt::Error& error) {
        require(typeid(error) == typeid(Expected), (std::string(name) + " and no other: " + error.what()).c_str());
        std::cout << name << ": " << error.what() << "\n";
        return;
    }
    require(false, name);
}

// A model with labels above 255.
void wide(const Case& made) {
    const Segmenter segmenter(made.bundle, made.options);
    const Scan scan(made.voxels.data(), made.grid);
    std::vector<std::uint16_t> own(made.voxels.size(), 9999);
    segmenter.segment_into(scan, own.data(), own.size());
    const auto bytes = static_cast<std::streamsize>(own.size() * sizeof(std::uint16_t));
    std::ofstream(made.labels, std::ios::binary).write(reinterpret_cast<const char*>(own.data()), bytes);
    expect<flare_trt::InputError>("InputError", [&] { segmenter.segment(scan); });
}

void errors(const Case& made) {
    using namespace flare_trt;
    const Segmenter segmenter(made.bundle, made.options);
    const Scan scan(made.voxels.data(), made.grid);
    auto strides = made.grid.dense_strides();
    ++strides[1];
    expect<InputError>("InputError", [&] { segmenter.segment(Scan(made.voxels.data(), made.grid, strides)); });
    expect<InputError>("InputError", [&] { segmenter.segment(Scan<float>(nullptr, made.grid)); });
    auto grid = made.grid;
    grid.spacing_xyz_mm[2] = 0;
    expect<InputError>("InputError", [&] { segmenter.segment(Scan(made.voxels.data(), grid)); });
    grid = made.grid;
    grid.size_xyz[0] = -3;
    expect<InputError>("InputError", [&] { segmenter.segment(Scan(made.voxels.data(), grid)); });
    std::vector<std::uint8_t> own(made.voxels.size() - 1, 99);
    expect<InputError>("InputError", [&] { segmenter.segment_into(scan, own.data(), own.size()); });
    require(own == std::vector<std::uint8_t>(own.size(), 99), "a buffer that is refused is untouched");
    expect<BundleError>("BundleError", [&] { Segmenter("no/such/model"); });
    auto options = made.options;
    options.backend = "nonesuch";
    expect<DeviceError>("DeviceError", [&] { Segmenter(made.bundle, options); });
    options = made.options;
    options.max_memory_mb = 1;
    expect<BudgetError>("BudgetError", [&] { Segmenter(made.bundle, options).segment(scan); });
    expect<PythonError>("PythonError", [&] { detail::with_python([] { pybind11::exec("1 / 0"); }); });
    require(segmenter.segment(scan).labels.size() == made.voxels.size(), "the segmenter still works");
}

}  // namespace

int main(int count, char** words) {
    const std::string task = count > 1 ? words[1] : "";
    if (task == "no-python") {
        expect<flare_trt::PythonError>("PythonError", [&] { flare_trt::start_python(words[2]), Segmenter("any"); });
        return 0;
    }
    if (count != 9) return 2;
    const Case made = case_of(words);
    task == "segment" ? segment(made) : task == "threads" ? threads(made) : task == "wide" ? wide(made) : errors(made);
    return 0;
}
