//! Finds the scans that the arguments of `amlp segment` name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Args;
use crate::cli::files::is_same_file;
use crate::cohort::split::{Part, Split};
use crate::cohort::{
    Cohort, CohortIdentity, ExcludedScan, ImageFile, Layout, NiftiFile, canonical_modality, is_mask_or_output,
    modality_in_name, numbered_channels, scans_in,
};
use crate::config::Config;
use crate::run::RunFolder;
use crate::volume::dicom::{self, Library};
use crate::words::plural;
use crate::{Error, Result};

/// One scan to segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Stem of the output files.
    pub case: String,
    /// One image per channel.
    pub images: Vec<ImageFile>,
}

/// The scans to segment, and those that are left out.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub scans: Vec<Scan>,
    pub left_out: Vec<ExcludedScan>,
    /// Decisions about the inputs that the user should know, one sentence each.
    pub notes: Vec<String>,
}

impl Inputs {
    /// Finds the scans of all inputs.
    ///
    /// # Errors
    /// An input that does not exist or has no scan for the model; two scans whose masks would have the same name.
    pub fn find(args: &Args, config: &Config) -> Result<Self> {
        let mut inputs = Self::default();
        for input in &args.input {
            if let Some(series) = &args.series {
                inputs.add_series(&dicom::with_series(input, series), args, config)?;
            } else if input.is_dir() {
                inputs.add_folder(input, args, config)?;
            } else {
                std::fs::metadata(dicom::split_selector(input).0).map_err(Error::io("read", input))?;
                if dicom::is_dicom(input) {
                    inputs.add_series(input, args, config)?;
                } else {
                    inputs.add_file(input, args, config);
                }
            }
        }
        if let Some(folder) = &args.cohort {
            inputs.add_own_cohort(folder, args, config)?;
        }
        refuse_name_conflicts(&inputs.scans, &args.out)?;
        Ok(inputs)
    }

    fn add_file(&mut self, path: &Path, args: &Args, config: &Config) {
        let image = ImageFile::with_frame(path.to_path_buf(), args.files.frame);
        let case = stem(path);
        if let ([wanted], Some(named)) = (&config.data.modality[..], modality_in_name(&case))
            && named != canonical_modality(wanted)
        {
            self.notes.push(format!("{case} is {named} by its name, but the model was trained on {wanted}"));
        }
        self.scans.push(Scan { case, images: vec![image] });
    }

    /// Adds a DICOM volume. Its outputs are named by modality and hashed UID, because folders may be named after patients.
    fn add_series(&mut self, path: &Path, args: &Args, config: &Config) -> Result<()> {
        let image = ImageFile::with_frame(path.to_path_buf(), args.files.frame);
        let stack = dicom::open(path)?;
        let (case, modality) = (stack.file_name(), stack.info().modality);
        if let [wanted] = &config.data.modality[..]
            && is_other_modality(&modality, wanted)
        {
            self.notes.push(format!("{case} is {modality} by its header, but the model was trained on {wanted}"));
        }
        self.scans.push(Scan { case, images: vec![image] });
        Ok(())
    }

    /// Adds a cohort, or a folder of scans of the model's only modality.
    fn add_folder(&mut self, folder: &Path, args: &Args, config: &Config) -> Result<()> {
        let cohort = Cohort::discover_with(folder, &args.files.discover_options());
        if let Ok(cohort) = &cohort {
            let modalities = names_in(cohort, config);
            if cohort.cases.iter().any(|case| case.has_all(&modalities)) {
                let own = is_own(cohort, &args.model, config)?;
                return self.add_cohort(cohort, own, args, config);
            }
            let known: Vec<String> = cohort.modalities().into_keys().collect();
            if cohort.layout == Layout::NnUnet && known.len() > 1 {
                let why = format!("has {}. The model needs {}", known.join(", "), config.data.modality.join(", "));
                return Err(Error::file(folder, why));
            }
        }
        let files = scans_in(folder)?;
        if let Some(channels) = numbered_channels(files.iter().map(|file| file.stem.as_str())) {
            let why = format!(
                "has {channels} numbered channels a scan, and no dataset.json names them. Put the files into imagesTs of their \
                 dataset, or name them after their modality, such as ID_{}.nii.gz",
                config.data.modality[0]
            );
            return Err(Error::file(folder, why));
        }
        let files = if config.data.modality.len() == 1 { files } else { Vec::new() };
        let (outputs, files): (Vec<NiftiFile>, Vec<NiftiFile>) =
            files.into_iter().partition(|file| is_mask_or_output(&file.stem));
        if files.is_empty() && config.data.modality.len() == 1 && Library::scan(folder, &|_, _| true)?.has_images() {
            return self.add_series(folder, args, config);
        }
        if files.is_empty() {
            // The error of the discovery is more specific than the one below.
            cohort?;
            let wanted = config.data.modality.join(", ");
            return Err(Error::file(folder, format!("has no scan to segment. The model needs {wanted}")));
        }
        if !outputs.is_empty() {
            let names: Vec<&str> = outputs.iter().map(|file| file.stem.as_str()).collect();
            self.notes.push(format!(
                "{} not segmented: {}",
                plural(
                    names.len(),
                    &format!("mask in {} is", folder.display()),
                    &format!("masks in {} are", folder.display())
                ),
                names.join(", ")
            ));
        }
        files.iter().for_each(|file| self.add_file(&file.path, args, config));
        Ok(())
    }

    fn add_own_cohort(&mut self, folder: &Path, args: &Args, config: &Config) -> Result<()> {
        let cohort = Cohort::discover_with(folder, &args.files.discover_options())?;
        if !is_own(&cohort, &args.model, config)? {
            let why = "is not the cohort that the model was trained on: patients or headers differ. Give it as an input \
                       without --cohort to segment it";
            return Err(Error::file(folder, why));
        }
        self.add_cohort(&cohort, true, args, config)
    }

    /// Adds the `--subset` of a cohort. If the model was trained on this cohort, the default is its test patients and new
    /// patients.
    fn add_cohort(&mut self, cohort: &Cohort, own: bool, args: &Args, config: &Config) -> Result<()> {
        let everyone: BTreeSet<String> = cohort.patients().into_iter().map(str::to_owned).collect();
        let split = || RunFolder::open(&args.model)?.read_split::<Split>();
        let ids: Vec<String> = match args.subset {
            Some(Part::All) => everyone.into_iter().collect(),
            Some(part) => split()?.part(part),
            None if own => {
                let split = split()?;
                let known: BTreeSet<String> = split.part(Part::All).into_iter().collect();
                let is_new =
                    |id: &&String| !known.contains(*id) && !cohort.scans_of(id).any(|case| known.contains(&case.id));
                let new: Vec<String> = everyone.iter().filter(is_new).cloned().collect();
                let ids: Vec<String> = split.test.iter().chain(&new).cloned().collect();
                let new = if new.is_empty() { String::new() } else { format!(" and {} new", new.len()) };
                let test = plural(split.test.len(), "test patient", "test patients");
                let are = if ids.len() == 1 { "is" } else { "are" };
                self.notes.push(format!(
                    "{} is the model's own cohort: only its {test}{new} {are} segmented. --subset all segments all patients",
                    cohort.root.display(),
                ));
                ids
            }
            None => everyone.into_iter().collect(),
        };
        let modalities = names_in(cohort, config);
        let selection = cohort.select(&ids, &modalities);
        self.left_out.extend(selection.left_out);
        if ids.len() == cohort.patients().len() {
            self.left_out.extend(cohort.left_out.iter().cloned());
        }
        for case in selection.cases {
            let images = modalities.iter().filter_map(|m| case.images.get(m).cloned()).collect();
            self.scans.push(Scan { case: case.id, images });
        }
        Ok(())
    }
}

/// True if a scan's DICOM modality differs from the model's and at least one of them is CT or PET. MR sequences share a
/// modality.
fn is_other_modality(dicom: &str, wanted: &str) -> bool {
    let (found, wanted) = (canonical_modality(dicom), canonical_modality(wanted));
    let is_sure = |name: &str| matches!(name, "ct" | "pet");
    found != wanted && (is_sure(&found) || is_sure(&wanted))
}

/// The model's modalities, by the names that the cohort uses for them.
fn names_in(cohort: &Cohort, config: &Config) -> Vec<String> {
    config.data.modality.iter().map(|name| cohort.modality(name).unwrap_or_else(|_| name.clone())).collect()
}

/// True if the model was trained on this cohort, which may have been moved: most scan ids and headers are those that the run
/// recorded. Earlier versions recorded no headers; then the folder or all patients must match.
fn is_own(cohort: &Cohort, model: &Path, config: &Config) -> Result<bool> {
    let run = RunFolder::open(model)?;
    if let Some(recorded) = run.read_cohort::<CohortIdentity>()? {
        return Ok(recorded.is_mostly(&CohortIdentity::of(cohort, &names_in(cohort, config))));
    }
    let here = is_same_file(&cohort.root, &config.data.cohort);
    let patients = || run.read_split::<Split>().map(|split| split.part(Part::All)).unwrap_or_default();
    let all_here = |ids: Vec<String>| !ids.is_empty() && ids.iter().all(|id| cohort.scans_of(id).next().is_some());
    Ok(here || all_here(patients()))
}

/// The file name without its NIfTI extension.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let lower = name.to_lowercase();
    let ends = [".nii.gz", ".hdr.gz", ".img.gz", ".nii", ".hdr", ".img"];
    let end = ends.iter().find(|end| lower.ends_with(*end)).map_or(0, |end| end.len());
    name[..name.len() - end].to_string()
}

/// Refuses two scans that would write the same mask, and a mask that would overwrite its scan.
fn refuse_name_conflicts(scans: &[Scan], out: &Path) -> Result<()> {
    let mut names = BTreeSet::new();
    for scan in scans {
        if !names.insert(&scan.case) {
            let why = "two inputs have this name, so their masks would too. Segment them into two folders";
            return Err(Error::config("input", &scan.case, why));
        }
        let mask: PathBuf = out.join(format!("{}.nii.gz", scan.case));
        if scan.images.iter().any(|image| is_same_file(&image.path, &mask)) {
            return Err(Error::file(&mask, "would overwrite the scan itself. Choose another folder for the masks"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_name_is_the_file_name_without_its_nifti_extension() {
        assert_eq!(stem(Path::new("a/b.c.nii.gz")), "b.c");
        assert_eq!(stem(Path::new("Scan.NII")), "Scan");
        assert_eq!(stem(Path::new("plain")), "plain");
    }
}
