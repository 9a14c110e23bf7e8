//! Which patches of an inspected slice are foreground, and which of them are masked.

use super::InspectedSlice;
use crate::cluster::{ClusterConfig, Clustering, cluster};
use crate::masking::masked_patches;
use crate::pretrain::amlp::amr::MaskRatio;
use crate::pretrain::amlp::mps::{Order, order};
use crate::pretrain::amlp::uncertainty::{Uncertainty, uncertainty};
use crate::{Error, Result};

/// The masking ratio: given, or that of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub enum Sigma {
    /// This share of the patches, 0 to 1.
    Fixed(f64),
    /// What a schedule gives (Eq. 9).
    Epoch {
        /// From 1.
        epoch: usize,
        /// Epochs of the training.
        epochs: usize,
        /// The schedule.
        ratio: MaskRatio,
    },
}

impl Sigma {
    /// The ratio.
    ///
    /// # Errors
    /// If it lies outside of 0 to 1, the epoch outside of the training, or the schedule is impossible.
    pub fn value(&self) -> Result<f64> {
        match self {
            Self::Fixed(sigma) if (0.0..=1.0).contains(sigma) => Ok(*sigma),
            Self::Fixed(sigma) => Err(Error::config("sigma", sigma, "must lie in 0 to 1")),
            Self::Epoch { epoch, epochs, ratio } => {
                ratio.validate()?;
                if !(1..=*epochs).contains(epoch) {
                    return Err(Error::config("epoch", epoch, format!("must lie in 1 to {epochs}")));
                }
                Ok(ratio.sigma(*epoch, *epochs))
            }
        }
    }

    /// The epoch that random masks are drawn for: 0 where the ratio is not an epoch's.
    fn epoch(&self) -> usize {
        if let Self::Epoch { epoch, .. } = self { *epoch } else { 0 }
    }
}

/// What decides which patches are masked.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskSettings {
    /// The clustering.
    pub cluster: ClusterConfig,
    /// Which patches come first.
    pub order: Order,
    /// How many are masked.
    pub sigma: Sigma,
    /// Seed of the clustering and of random orders.
    pub seed: u64,
}

impl Default for MaskSettings {
    /// The paper's, at half of the patches.
    fn default() -> Self {
        Self { cluster: ClusterConfig::default(), order: Order::default(), sigma: Sigma::Fixed(0.5), seed: 0 }
    }
}

/// Which patches of a slice are masked.
#[derive(Clone, Debug, PartialEq)]
pub struct Masking {
    /// The ratio.
    pub sigma: f64,
    /// All patches in masking order.
    pub order: Vec<usize>,
    /// The masked ones, by patch index.
    pub masked: Vec<bool>,
}

impl Masking {
    /// How many patches are masked.
    pub fn count(&self) -> usize {
        self.masked.iter().filter(|masked| **masked).count()
    }
}

impl InspectedSlice {
    /// Clusters the slice's patches. k-means of 256 patches takes a few milliseconds; the alternatives take longer.
    ///
    /// # Errors
    /// If the settings cannot be computed with, or the method cannot take so many patches.
    pub fn cluster(&self, settings: &MaskSettings) -> Result<Clustering> {
        let (n, d) = (self.grid.count(), self.grid.dimension(self.channels));
        settings.cluster.check_patches(n)?;
        let patches = self.grid.patches(&self.pixels, self.channels);
        Ok(cluster(&patches, n, d, &self.air, &settings.cluster, settings.seed, &[self.prepared_slice as u64]))
    }

    /// Puts the patches into masking order and masks the first of them.
    ///
    /// # Errors
    /// Those of [`Sigma::value`]; a clustering of another number of patches.
    pub fn mask(&self, found: &Clustering, settings: &MaskSettings) -> Result<Masking> {
        self.require(found)?;
        let sigma = settings.sigma.value()?;
        let place = [settings.sigma.epoch() as u64, self.prepared_slice as u64];
        let order = order(settings.order, &found.labels, &found.logit, settings.seed, &place);
        let masked = masked_patches(&order, sigma);
        Ok(Masking { sigma, order, masked })
    }

    /// H1, and H3 where a label exists, of the slice with so many patches masked (Eqs. 1 to 5). H2 is that of a network's
    /// labels; before any training it is H1.
    pub fn uncertainty(&self, found: &Clustering, masking: &Masking) -> Uncertainty {
        uncertainty(&found.labels, &found.labels, self.lesion.as_deref(), &found.logit, masking.count())
    }

    /// Refuses a clustering of another slice's patches.
    fn require(&self, found: &Clustering) -> Result<()> {
        let (n, patches) = (self.grid.count(), found.labels.len());
        if patches == n && found.logit.len() == n {
            return Ok(());
        }
        Err(Error::config("clustering", format!("{patches} patches"), format!("the slice has {n}")))
    }
}
