// The Python inside: started once, entered by any thread, left without the GIL; Python's errors become ours.
#pragma once

#include <pybind11/embed.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "errors.hpp"

// The interpreter whose packages are used; CMake's flare_trt::flare_trt names the one that it found.
#ifndef FLARE_TRT_PYTHON
#error "link the CMake target flare_trt::flare_trt, or define FLARE_TRT_PYTHON as the path of the Python that has flare-trt"
#endif

namespace flare_trt {

namespace detail {

namespace py = pybind11;

// A Python object that any thread may drop, with or without the GIL. It is leaked where Python has ended before it.
using Object = std::shared_ptr<PyObject>;

inline Object keep(py::object object, const char* last_call = nullptr) {
    return Object(object.release().ptr(), [last_call](PyObject* owned) {
        if (!Py_IsInitialized()) return;
        const py::gil_scoped_acquire gil;
        const py::object dropped = py::reinterpret_steal<py::object>(owned);
        if (!last_call) return;
        try {
            dropped.attr(last_call)();
        } catch (py::error_already_set& error) {
            error.discard_as_unraisable(last_call);  // a destructor must not throw
        }
    });
}

inline py::handle borrow(const Object& object) { return object.get(); }

inline void start(const std::string& executable) {
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.install_signal_handlers = 0;  // signals stay the host's
    const PyStatus status = PyConfig_SetBytesString(&config, &config.program_name, executable.c_str());
    try {
        if (PyStatus_Exception(status)) throw std::runtime_error(status.err_msg ? status.err_msg : "unknown reason");
        py::initialize_interpreter(&config, 0, nullptr, false);
    } catch (const std::runtime_error& error) {
        throw PythonError("Python: " + executable + " cannot be started (" + error.what() + "); name the Python that has flare-trt");
    }
    PyEval_SaveThread();  // from here on each call takes the GIL for itself
}

template <class Exception>
[[noreturn]] void raise(const std::string& message) {
    throw Exception(message);
}

// Throws the twin of a Python exception. To be called with the GIL held.
[[noreturn]] inline void throw_twin(const py::error_already_set& error) {
    constexpr std::pair<const char*, void (*)(const std::string&)> kTwins[] = {
        {"InputError", raise<InputError>},   {"BundleError", raise<BundleError>}, {"ExportError", raise<ExportError>},
        {"DeviceError", raise<DeviceError>}, {"BudgetError", raise<BudgetError>}, {"OutputError", raise<OutputError>},
        {"ServiceError", raise<ServiceError>},
        {"FlareError", raise<Error>},
    };
    if (error.matches(PyExc_ImportError)) {
        const auto python = py::module_::import("sys").attr("executable").cast<std::string>();
        throw PythonError("Python: " + python + " cannot import what is needed; pip install flare-trt there\n" + error.what());
    }
    const py::module_ errors = py::module_::import("flare_trt.engine.base.errors");
    for (const auto& [name, throw_it] : kTwins) {
        if (error.matches(errors.attr(name))) throw_it(py::str(error.value()));
    }
    throw PythonError(error.what());
}

}  // namespace detail

// Starts Python, once in a process; the first call that needs it does so by itself. Call it first to name another interpreter
// than the one that CMake found. Where the process hosts Python already, that one is used and nothing is started. Python is
// never ended: libraries inside keep threads that would not survive it.
inline void start_python(const std::string& executable = FLARE_TRT_PYTHON) {
    static std::once_flag once;
    std::call_once(once, [&] {
        if (!Py_IsInitialized()) detail::start(executable);
    });
}

namespace detail {

// Runs `work` with the GIL. It must return no Python object, as the GIL is gone when its caller gets it.
template <class Work>
auto with_python(const Work& work) {
    start_python();
    const py::gil_scoped_acquire gil;
    try {
        return work();
    } catch (const py::error_already_set& error) {
        throw_twin(error);
    }
}

}  // namespace detail

}  // namespace flare_trt
