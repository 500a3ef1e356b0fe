#!/usr/bin/env bash
# nnU-Net 2.8.1 looks for a trainer of one's own in the folders of `nnUNet_extTrainer`. Before it does, it walks over `sys.modules` and asks
# each module for its file.
#
# Expected: the class, whatever else the process does. Real: the walk is over the dictionary itself, so that a module which is imported
# meanwhile (by a thread that loads a model, reads scans, or serves; by a finalizer) ends the search, and so the training, with "RuntimeError:
# dictionary changed size during iteration". Trainers of nnU-Net's own are found without the walk.
# Why it matters here: trainings by trainers of this project (training/fit/trainers) ended so beside other work of the process; they are put
# beside nnU-Net's own now, where no walk is needed. Exits 1 where this behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
# the search needs these two alone, without what they depend on
env/bin/pip install --quiet --disable-pip-version-check --no-deps nnunetv2==2.8.1 batchgenerators==0.25.3
mkdir trainers parts
echo "class MyTrainer: pass" >trainers/mine.py
for number in $(seq 2000); do echo "VALUE = $number" >"parts/part_$number.py"; done
cat >search.py <<'PY'
import importlib
import sys
import threading

# what a process of nnU-Net's has loaded many times over; the standard library is enough
for name in sorted(sys.stdlib_module_names - {"antigravity", "this", "idlelib", "tkinter", "turtle", "turtledemo", "lib2to3"}):
    try:
        importlib.import_module(name)
    except ImportError:
        pass
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class


def search():
    return recursive_find_python_class("trainers", "MyTrainer", None, "trainers", cleanup_imports_from_base_folder=True).__name__


print("alone:", search())
sys.path.insert(0, "parts")
thread = threading.Thread(target=lambda: [importlib.import_module(f"part_{number}") for number in range(1, 2001)])
thread.start()
errors, searches = [], 0
while thread.is_alive():
    searches += 1
    try:
        search()
    except RuntimeError as error:
        errors.append(str(error))
print(f"beside a thread that imports: {len(errors)} of {searches} searches end with {sorted(set(errors))}; expected none")
sys.exit(0 if errors else 1)
PY
env/bin/python search.py
