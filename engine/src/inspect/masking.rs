//! Clustering and masking the patches of an inspected slice.

use super::InspectedSlice;
use crate::cluster::{ClusterConfig, Clustering, cluster};
use crate::config::MaskConfig;
use crate::masking::indicator;
use crate::pretrain::amlp::amr::MaskRatio;
use crate::pretrain::amlp::draw::Draw;
use crate::pretrain::amlp::mps::Order;
use crate::pretrain::amlp::uncertainty::{Uncertainty, uncertainty};
use crate::{Error, Result};

/// The masking ratio: fixed, or that of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub enum Sigma {
    /// This fraction of the patches, 0 to 1.
    Fixed(f64),
    /// The ratio of a schedule (Eq. 9).
    Epoch {
        /// Epoch, from 1.
        epoch: usize,
        /// Number of epochs of the run.
        epochs: usize,
        /// The schedule.
        ratio: MaskRatio,
    },
}

impl Sigma {
    /// The ratio.
    ///
    /// # Errors
    /// If the ratio is outside 0 to 1, the epoch outside 1 to `epochs`, or the schedule invalid.
    pub fn value(&self) -> Result<f64> {
        match self {
            Self::Fixed(sigma) if (0.0..=1.0).contains(sigma) => Ok(*sigma),
            Self::Fixed(sigma) => Err(Error::config("sigma", sigma, "must be 0 to 1")),
            Self::Epoch { epoch, epochs, ratio } => {
                ratio.validate()?;
                if !(1..=*epochs).contains(epoch) {
                    return Err(Error::config("epoch", epoch, format!("must be 1 to {epochs}")));
                }
                Ok(ratio.sigma(*epoch, *epochs))
            }
        }
    }

    /// The epoch that random masks are drawn for; 0 for a fixed ratio.
    fn epoch(&self) -> usize {
        if let Self::Epoch { epoch, .. } = self { *epoch } else { 0 }
    }
}

/// Settings of clustering and masking.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskSettings {
    /// Clustering.
    pub cluster: ClusterConfig,
    /// Masking order.
    pub order: Order,
    /// How masked patches are drawn. Settings of the network's input have no effect here.
    pub mask: MaskConfig,
    /// Masking ratio.
    pub sigma: Sigma,
    /// Seed of the clustering and of random orders.
    pub seed: u64,
}

impl Default for MaskSettings {
    /// The paper's settings at a ratio of 0.5.
    fn default() -> Self {
        Self {
            cluster: ClusterConfig::default(),
            order: Order::default(),
            mask: MaskConfig::default(),
            sigma: Sigma::Fixed(0.5),
            seed: 0,
        }
    }
}

/// The masked patches of a slice.
#[derive(Clone, Debug, PartialEq)]
pub struct Masking {
    /// Masking ratio.
    pub sigma: f64,
    /// All patches in masking order.
    pub order: Vec<usize>,
    /// True for masked patches, `[N]`.
    pub masked: Vec<bool>,
}

impl Masking {
    /// Number of masked patches.
    pub fn count(&self) -> usize {
        self.masked.iter().filter(|masked| **masked).count()
    }
}

impl InspectedSlice {
    /// Clusters the patches. k-means of 256 patches takes a few milliseconds, the alternatives longer.
    ///
    /// # Errors
    /// If the settings are invalid or the method does not support this many patches.
    pub fn cluster(&self, settings: &MaskSettings) -> Result<Clustering> {
        let (n, d) = (self.grid.count(), self.grid.dimension(self.channels));
        settings.cluster.check_patches(n)?;
        let patches = self.grid.patches(&self.pixels, self.channels);
        Ok(cluster(&patches, n, d, &self.air, &settings.cluster, settings.seed, &[self.prepared_slice as u64]))
    }

    /// Orders the patches and masks the first `floor(U sigma)` of U units, which are patches unless the settings say otherwise.
    ///
    /// # Errors
    /// As [`Sigma::value`]. Also for a draw that the order does not allow, a unit that patches or the crop do not divide into, or
    /// if `found` has a different number of patches.
    pub fn mask(&self, found: &Clustering, settings: &MaskSettings) -> Result<Masking> {
        self.require(found)?;
        let sigma = settings.sigma.value()?;
        let place = [settings.sigma.epoch() as u64, self.prepared_slice as u64];
        settings.mask.unit(self.grid.side(), self.grid.grid())?;
        if let Some(error) = settings.mask.errors(settings.order).into_iter().next() {
            return Err(error);
        }
        let draw = Draw::new(settings.order, &settings.mask, &self.grid);
        let drawn = draw.patches(&found.labels, found, (settings.seed, &place));
        let masked = indicator(self.grid.count(), &drawn.order[..drawn.count(sigma)]);
        Ok(Masking { sigma, order: drawn.order, masked })
    }

    /// Entropies H1 and, with a reference, H3 of the masked slice (Eqs. 1 to 5). H2 needs a network's labels; before
    /// training it equals H1.
    pub fn uncertainty(&self, found: &Clustering, masking: &Masking) -> Uncertainty {
        uncertainty(&found.labels, &found.labels, self.lesion.as_deref(), &found.logit, masking.count())
    }

    /// Checks that a clustering has this slice's number of patches.
    fn require(&self, found: &Clustering) -> Result<()> {
        let (n, patches) = (self.grid.count(), found.labels.len());
        if patches == n && found.logit.len() == n {
            return Ok(());
        }
        Err(Error::config("clustering", format!("{patches} patches"), format!("the slice has {n} patches")))
    }
}
