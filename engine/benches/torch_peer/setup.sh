#!/usr/bin/env bash
# Sets up the Python side of the benchmarks: CPU PyTorch, nibabel, scipy, matplotlib, scikit-learn, pydicom and dcm2niix in a virtual environment outside the repository.
#   setup.sh [VENV]      default: amlp-venv in the user's cache folder
# Then run: AMLP_PEER_PYTHON=VENV/bin/python cargo bench -p engine
#
# CPU wheels come from PyTorch's own index. If only PyPI is reachable, its CUDA wheel is installed without the gigabytes of
# NVIDIA libraries, and empty_libs.py creates stubs for those it links.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/amlp-venv}

[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
python=$venv/bin/python
pip() { "$python" -m pip install --quiet --disable-pip-version-check "$@"; }

pip nibabel numpy scipy matplotlib pydicom dcm2niix scikit-learn 'setuptools>=77.0.3'
if ! "$python" -c 'import torch' 2>/dev/null; then
    if ! pip torch --index-url "${AMLP_TORCH_INDEX:-https://download.pytorch.org/whl/cpu}" 2>/dev/null; then
        echo "No CPU wheel of PyTorch available. Installing the CPU part of the CUDA wheel." >&2
        pip --no-deps torch nvidia-cuda-runtime nvidia-cuda-cupti
        pip filelock typing-extensions sympy networkx jinja2 fsspec
        "$python" "$here/empty_libs.py"
    fi
fi
"$python" -c 'import nibabel, torch; print("PyTorch", torch.__version__, "nibabel", nibabel.__version__, "threads", torch.get_num_threads())'
echo "AMLP_PEER_PYTHON=$python"
