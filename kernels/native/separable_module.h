// The Python face of separable.h.
#pragma once

#include <pybind11/pybind11.h>

namespace flare {

void add_separable(pybind11::module_& module);

}  // namespace flare
