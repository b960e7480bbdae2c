"""Scalar building blocks, shared by formulas, algorithms and samplers.

A block of one's own derives from the class of its kind, and is then an option of every family that
takes this kind:

==================  =================================  ==========================================
kind                base class                         or, from an expression
==================  =================================  ==========================================
prior               `priors.Prior`, `priors.Mixture`   `rp.Discrete`
channel             `channel.Channel`                  `rp.DiscreteChannel`, `rp.ContinuousChannel`
constraint          `channel.Constraint`, an event
loss                `losses.ConvexLoss`                `rp.Loss`
penalty             `losses.Penalty`
activation          `activations.GaussianActivation`   `rp.Activation`
features            `random_features.FeatureMap`       `rp.FeatureMatrix`
inputs              `inputs.Inputs`                    `rp.Covariances`
pair of weights     `committees.PairPrior`
labels of two       `committees.CommitteeChannel`
eigenvalues         `language.spectral.Spectrum`       `rp.Spectrum`, `rp.RTransform`
==================  =================================  ==========================================

A package makes its blocks known by name, also at the shell, through the entry point group
``replica.blocks`` (see `replica.blocks.shipped`).
"""
