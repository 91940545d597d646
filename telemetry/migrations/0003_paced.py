
import django.db.models.deletion
from django.db import migrations, models

from telemetry.frames import to_us


def look_at_everything(apps, schema_editor):
    """History that is there already is looked at in the background."""
    state = apps.get_model("fleet", "VehicleState")
    head = apps.get_model("fleet", "TripHead")
    vehicles = state.objects.filter(vehicle__kind="vehicle", time__isnull=False)
    rows = vehicles.values_list("vehicle_id", "time").iterator()
    head.objects.bulk_create(
        (head(vehicle_id=vehicle, until_us=to_us(time), behind=True) for vehicle, time in rows),
        batch_size=1000,
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):

    dependencies = [
        ('fleet', '0015_journeys'),
        ('telemetry', '0002_touched'),
    ]

    operations = [
        migrations.CreateModel(
            name='Paced',
            fields=[
                ('vehicle', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='fleet.vehicle')),
                ('first_us', models.BigIntegerField(help_text='Event time, microseconds since 1970.')),
                ('last_us', models.BigIntegerField()),
                ('due_us', models.BigIntegerField(default=0, help_text='Wall clock, microseconds: not looked at before.')),
                ('version', models.BigIntegerField(default=1)),
            ],
            options={
                'verbose_name_plural': 'paced',
                'db_table': 'telemetry_paced',
            },
        ),
        migrations.CreateModel(
            name='PacedDerived',
            fields=[
                ('vehicle', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='fleet.vehicle')),
                ('last_us', models.BigIntegerField()),
            ],
            options={
                'verbose_name_plural': 'paced derived',
                'db_table': 'telemetry_paced_derived',
            },
        ),
        migrations.AddField(
            model_name='touched',
            name='due_us',
            field=models.BigIntegerField(default=0, help_text='Wall clock, microseconds: not looked at before.'),
        ),
        migrations.RunPython(look_at_everything, migrations.RunPython.noop),
    ]
