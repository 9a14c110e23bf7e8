"""Create stub libraries in place of the NVIDIA ones that a CUDA build of PyTorch links, so that its CPU part loads.

Run it with the interpreter whose PyTorch needs them. Requires gcc and binutils. CUDA calls would crash afterwards; the benchmarks
make none.

The loader needs each missing library by name, with every symbol that PyTorch imports, under the same version tag. The importing
file does not record which library a symbol belongs to, so symbols are assigned by prefix.
"""

import pathlib
import re
import subprocess
import sysconfig
import tempfile

PREFIXES = {
    "cublas": r"cublas(?!Lt)",
    "cublasLt": r"cublasLt",
    "cudnn": r"cudnn",
    "cufft": r"cufft",
    "cufile": r"cuFile",
    "cusolver": r"cusolver",
    "cusparse": r"cusparse(?!Lt)",
    "cusparseLt": r"cusparseLt",
    "nccl": r"p?nccl",
    "nvrtc": r"nvrtc",
    "nvshmem_host": r"nvshmem",
}

site = pathlib.Path(sysconfig.get_path("purelib"))
torch_libs = site / "torch" / "lib"


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wanted():
    """Libraries that PyTorch links but no installed wheel contains, and PyTorch's undefined symbols."""
    names, symbols = set(), set()
    for lib in torch_libs.glob("*.so*"):
        names.update(re.findall(r"NEEDED\s+(\S+)", output("objdump", "-p", str(lib))))
        symbols.update(re.findall(r"\bU (\w+)(?:@+(\S+))?$", output("nm", "-D", str(lib)), re.MULTILINE))
    present = {path.name for path in site.glob("nvidia/**/lib/*.so*")} | {path.name for path in torch_libs.iterdir()}
    return sorted(names - present), symbols


def write(name, symbols):
    functions = sorted({symbol for symbol, _ in symbols})
    source = "".join(f"int {function};\n" for function in functions) or "int empty;\n"
    by_version = {}
    for symbol, version in symbols:
        if version:
            by_version.setdefault(version, []).append(symbol)
    script = "".join(f"{version} {{ global: {'; '.join(sorted(group))}; }};\n" for version, group in by_version.items())
    with tempfile.TemporaryDirectory() as folder:
        c, versions = pathlib.Path(folder, "empty.c"), pathlib.Path(folder, "empty.map")
        c.write_text(source)
        versions.write_text(script)
        command = ["gcc", "-shared", "-fPIC", "-w", str(c), "-o", str(torch_libs / name), f"-Wl,-soname,{name}"]
        subprocess.run(command + ([f"-Wl,--version-script={versions}"] if script else []), check=True)


names, symbols = wanted()
for name in names:
    match = re.match(r"lib(\w+)\.so", name)
    prefix = PREFIXES.get(match.group(1)) if match else None
    if prefix:
        write(name, {(symbol, version) for symbol, version in symbols if re.match(prefix, symbol)})
        print("wrote stub", name)
