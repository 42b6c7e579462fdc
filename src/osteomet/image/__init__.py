"""Operations on images and masks that know geometry but no anatomy: resampling, intensity, components, distances."""
