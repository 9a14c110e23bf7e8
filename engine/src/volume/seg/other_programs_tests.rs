//! A written SEG is read by dcmqi and highdicom.

use super::*;

/// A SEG of two overlapping labels, with the masks that it was written from.
fn overlapping(folder: &Path) -> (PathBuf, [LabelVolume; 2]) {
    let (source, path) = (made_source(), folder.join("seg.dcm"));
    let first = mask(&source, |[i, j, k]| u16::from(k != 1 && (i + j).is_multiple_of(3)));
    let second = mask(&source, |[i, _, k]| if k > 0 && i > 1 { 2 } else { 0 });
    write_seg(&path, &[first.clone(), second.clone()], &LabelTable::default(), &source, &options()).unwrap();
    (path, [first, second])
}

#[test]
fn dcmqi_reads_the_same_voxels() {
    let folder = tempfile::tempdir().unwrap();
    let (path, written) = overlapping(folder.path());
    let mut command = Command::new("segimage2itkimage");
    command.args(["--outputType", "nifti", "--prefix", "out", "--inputDICOM"]).arg(&path);
    let Ok(output) = command.arg("--outputDirectory").arg(folder.path()).output() else {
        println!("skipped: segimage2itkimage of dcmqi is not installed");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (index, expected) in written.iter().enumerate() {
        let actual = LabelVolume::read(&folder.path().join(format!("out-{}.nii.gz", index + 1))).unwrap();
        assert_eq!(places(&actual), places(expected), "segment {}", index + 1);
    }
}

/// Prints the segment and the world position, in hundredths of a mm, of each labelled voxel.
const HIGHDICOM: &str = "
import sys, numpy, highdicom
volume = highdicom.seg.segread(sys.argv[1]).get_volume()
for *index, segment in numpy.argwhere(volume.array):
    x, y, z, _ = volume.affine @ [*index, 1]
    print(segment, *(round(float(100 * v)) for v in (-x, -y, z)))
";

#[test]
fn highdicom_reads_the_same_voxels() {
    let python = |arguments: &[&std::ffi::OsStr]| Command::new("python3").args(arguments).output();
    if !python(&["-c".as_ref(), "import highdicom".as_ref()]).is_ok_and(|output| output.status.success()) {
        println!("skipped: highdicom is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, written) = overlapping(folder.path());
    let output = python(&["-c".as_ref(), HIGHDICOM.as_ref(), path.as_os_str()]).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut result = [Vec::new(), Vec::new()];
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let numbers: Vec<i64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let [segment, place @ ..] = &numbers[..] else { panic!("{line}") };
        result[*segment as usize].push(<[i64; 3]>::try_from(place).unwrap());
    }
    result.iter_mut().for_each(|places| places.sort_unstable());
    assert_eq!(result, written.map(|mask| places(&mask)));
}
