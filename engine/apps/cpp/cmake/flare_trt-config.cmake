# find_package(flare_trt): the target flare_trt::flare_trt, a C++17 header that runs the Python package inside the program.
#
# The Python that has flare-trt is found by CMake's FindPython; name it with -DPython_EXECUTABLE=/path/of/python where an
# environment is not active. The program starts that Python unless it calls flare_trt::start_python with another.
include(CMakeFindDependencyMacro)
find_dependency(Python 3.11 COMPONENTS Interpreter Development.Embed)

if(NOT pybind11_DIR)
  execute_process(COMMAND "${Python_EXECUTABLE}" -m pybind11 --cmakedir
                  OUTPUT_VARIABLE flare_trt_pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
set(PYBIND11_FINDPYTHON ON)
find_package(pybind11 2.13 CONFIG QUIET HINTS "${flare_trt_pybind11_DIR}")
if(NOT pybind11_FOUND)
  set(flare_trt_FOUND FALSE)
  set(flare_trt_NOT_FOUND_MESSAGE "pybind11 2.13 or later is missing; ${Python_EXECUTABLE} -m pip install 'flare-trt[cpp]'")
  return()
endif()

if(NOT TARGET flare_trt::flare_trt)
  add_library(flare_trt::flare_trt INTERFACE IMPORTED)
  target_include_directories(flare_trt::flare_trt INTERFACE "${CMAKE_CURRENT_LIST_DIR}/../include")
  target_compile_features(flare_trt::flare_trt INTERFACE cxx_std_17)
  target_compile_definitions(flare_trt::flare_trt INTERFACE "FLARE_TRT_PYTHON=\"${Python_EXECUTABLE}\"")
  target_link_libraries(flare_trt::flare_trt INTERFACE pybind11::embed)
endif()
