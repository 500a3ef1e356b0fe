// Every exception that the header throws; the tree is that of flare_trt.engine.base.errors and carries the same messages: what was
// got, what was expected and what to do.
//
// Error
// +-- InputError      a scan, a label file or an array that cannot be used
// +-- BundleError     a model bundle or its spec that cannot be used
// +-- ExportError     a trained model that cannot be turned into a bundle
// +-- DeviceError     a device or backend that was named and is not there
// +-- BudgetError     a memory budget that cannot be kept; says the least that would do
// +-- OutputError     a result that cannot be written
// +-- ServiceError    a server or a cluster that cannot be started or reached
// +-- PythonError     anything else that Python raised, with its traceback; also a Python that does not start
#pragma once

#include <stdexcept>

namespace flare_trt {

class Error : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

class InputError : public Error {
    using Error::Error;
};

class BundleError : public Error {
    using Error::Error;
};

class ExportError : public Error {
    using Error::Error;
};

class DeviceError : public Error {
    using Error::Error;
};

class BudgetError : public Error {
    using Error::Error;
};

class OutputError : public Error {
    using Error::Error;
};

class ServiceError : public Error {
    using Error::Error;
};

class PythonError : public Error {
    using Error::Error;
};

}  // namespace flare_trt
