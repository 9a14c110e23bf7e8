//! Parallel loops whose thread handling is compiled once.
//!
//! Rayon's iterators are compiled again for every closure and element type, which would make up a third of this crate's machine
//! code. Here the pool calls every closure through a pointer. That costs nanoseconds per call, so a call should take at least
//! microseconds: a slice, a row of pieces, a case.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

/// Values per piece in [`map_values`] and [`change_values`]: about ten microseconds of simple arithmetic.
pub(crate) const PIECE: usize = 1 << 14;

/// Calls `f` with 0 to `n - 1` on the pool's threads, in any order.
pub(crate) fn for_each(n: usize, f: &(dyn Fn(usize) + Sync)) {
    (0..n).into_par_iter().for_each(f);
}

/// The values of `f` for 0 to `n - 1`, in order.
pub(crate) fn map<T: Send>(n: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let slots: Vec<Mutex<Option<T>>> = (0..n).map(|_| Mutex::new(None)).collect();
    for_each(n, &|at| {
        let value = f(at);
        *lock(&slots[at]) = Some(value);
    });
    slots.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// The values of `f` for pieces of `size` values (the last may be shorter), in order.
pub(crate) fn map_chunks<T: Sync, R: Send>(values: &[T], size: usize, f: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    map(values.len().div_ceil(size), |at| f(&values[at * size..values.len().min((at + 1) * size)]))
}

/// Calls `f` with the number and the values of each piece of `size` values (the last may be shorter).
pub(crate) fn chunks_mut<T: Send>(values: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    let pieces: Vec<Mutex<&mut [T]>> = values.chunks_mut(size).map(Mutex::new).collect();
    for_each(pieces.len(), &|at| f(at, &mut lock(&pieces[at])));
}

/// Calls `f` with every piece.
pub(crate) fn for_each_piece<T: Send>(pieces: impl Iterator<Item = T>, f: impl Fn(T) + Sync) {
    let pieces: Vec<Mutex<Option<T>>> = pieces.map(|piece| Mutex::new(Some(piece))).collect();
    for_each(pieces.len(), &|at| {
        if let Some(piece) = lock(&pieces[at]).take() {
            f(piece);
        }
    });
}

/// `f` of every value.
pub(crate) fn map_values<T: Copy + Sync, R: Clone + Default + Send>(values: &[T], f: impl Fn(T) -> R + Sync) -> Vec<R> {
    let mut out = vec![R::default(); values.len()];
    chunks_mut(&mut out, PIECE, |at, out| {
        out.iter_mut().zip(&values[at * PIECE..]).for_each(|(out, &value)| *out = f(value));
    });
    out
}

/// Replaces every value by `f` of its index and itself.
pub(crate) fn change_values<T: Copy + Send>(values: &mut [T], f: impl Fn(usize, T) -> T + Sync) {
    chunks_mut(values, PIECE, |piece, values| {
        values.iter_mut().enumerate().for_each(|(at, value)| *value = f(piece * PIECE + at, *value));
    });
}

/// No lock here guards more than one value, so poisoning is harmless.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_visited_once_with_its_index() {
        for n in [0, 1, 7, 1000] {
            let squares: Vec<usize> = (0..n).map(|at| at * at).collect();
            assert_eq!(map(n, |at| at * at), squares);
            assert_eq!(
                map_chunks(&squares, 3, <[usize]>::to_vec),
                squares.chunks(3).map(<[_]>::to_vec).collect::<Vec<_>>()
            );
            let mut out = vec![0; n];
            chunks_mut(&mut out, 3, |piece, out| {
                out.iter_mut().enumerate().for_each(|(at, out)| *out += (3 * piece + at) * (3 * piece + at));
            });
            assert_eq!(out, squares);
        }
        let long: Vec<u32> = (0..3 * PIECE as u32 + 5).collect();
        let mut doubled = map_values(&long, |value| 2 * value);
        assert!(doubled.iter().zip(&long).all(|(doubled, value)| *doubled == 2 * value));
        change_values(&mut doubled, |at, value| value - at as u32);
        assert_eq!(doubled, long);
    }
}
