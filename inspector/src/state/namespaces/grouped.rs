//! Lists by position, in two allocations: what is asked for each of ten thousands of namespaces.

/// What belongs to each position.
pub(super) struct Grouped<T> {
    /// Where the values of each position start, and where the last ones end.
    starts: Vec<u32>,
    values: Vec<T>,
}

impl<T> Default for Grouped<T> {
    fn default() -> Self {
        Self { starts: Vec::new(), values: Vec::new() }
    }
}

impl<T: Copy> Grouped<T> {
    /// From pairs of a position below `positions` and a value, in order.
    pub(super) fn of(positions: usize, pairs: &[(u32, T)]) -> Self {
        let mut starts = vec![0; positions + 1];
        for (position, _) in pairs {
            if let Some(after) = starts.get_mut(*position as usize + 1) {
                *after += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Self { starts, values: pairs.iter().map(|(_, value)| *value).collect() }
    }

    /// The values of one position.
    pub(super) fn get(&self, position: usize) -> &[T] {
        let bounds = self.starts.get(position).zip(self.starts.get(position + 1));
        bounds.and_then(|(start, end)| self.values.get(*start as usize..*end as usize)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_has_its_own_and_no_other_has_any() {
        let grouped = Grouped::of(4, &[(0, 'a'), (2, 'b'), (2, 'c'), (3, 'd')]);
        let all: Vec<&[char]> = (0..6).map(|position| grouped.get(position)).collect();
        assert_eq!(all, [&['a'][..], &[], &['b', 'c'], &['d'], &[], &[]]);
        assert_eq!(Grouped::<u32>::default().get(0), [] as [u32; 0]);
        assert_eq!(Grouped::<u32>::of(1, &[]).get(0), [] as [u32; 0]);
    }
}
