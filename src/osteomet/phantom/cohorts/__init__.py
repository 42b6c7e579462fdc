"""Who is imaged how: patients, protocols, time points and readers of each cohort."""
