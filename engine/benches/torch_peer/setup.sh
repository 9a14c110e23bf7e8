#!/usr/bin/env bash
# The Python side of the benchmarks: PyTorch for the CPU, and nibabel, in a virtual environment outside the repository.
#   setup.sh [VENV]      default: amlp-venv in the user's cache folder
# Afterwards: AMLP_PEER_PYTHON=VENV/bin/python cargo bench -p engine
#
# PyTorch's own index offers wheels for the CPU. Where only the package index with the CUDA wheel can be reached, that
# wheel is installed without its gigabytes of NVIDIA libraries, and empty_libs.py writes the few that it insists on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/amlp-venv}

[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
python=$venv/bin/python
pip() { "$python" -m pip install --quiet --disable-pip-version-check "$@"; }

pip nibabel numpy 'setuptools>=77.0.3'
if ! "$python" -c 'import torch' 2>/dev/null; then
    if ! pip torch --index-url "${AMLP_TORCH_INDEX:-https://download.pytorch.org/whl/cpu}" 2>/dev/null; then
        echo "no CPU wheel of PyTorch to be had: taking the CUDA wheel's CPU part" >&2
        pip --no-deps torch nvidia-cuda-runtime nvidia-cuda-cupti
        pip filelock typing-extensions sympy networkx jinja2 fsspec
        "$python" "$here/empty_libs.py"
    fi
fi
"$python" -c 'import nibabel, torch; print("PyTorch", torch.__version__, "nibabel", nibabel.__version__, "threads", torch.get_num_threads())'
echo "AMLP_PEER_PYTHON=$python"
